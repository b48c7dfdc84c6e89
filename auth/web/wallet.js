// Logs in with a wallet that the browser has (EIP-1193), by a text that it signs (EIP-4361).
"use strict";
(() => {
  const section = document.getElementById("wallet");
  const button = section.querySelector("button");
  const says = section.querySelector("[role=alert]");

  async function ask(path, options) {
    const answer = await fetch(path, {headers: {"Accept": "application/json", "Content-Type": "application/json"}, ...options});
    const body = await answer.json();
    if (!answer.ok) {
      throw new Error(body.detail || "The gateway does not answer as it should.");
    }
    return body;
  }

  function hex(text) {
    return "0x" + Array.from(new TextEncoder().encode(text), (b) => b.toString(16).padStart(2, "0")).join("");
  }

  async function login() {
    const wallet = window.ethereum;
    if (!wallet) {
      throw new Error("No wallet was found in this browser.");
    }
    const [address] = await wallet.request({method: "eth_requestAccounts"});
    const chain = BigInt(await wallet.request({method: "eth_chainId"})).toString();
    const {message} = await ask("/auth/siwe/nonce?" + new URLSearchParams({address, chain}));
    const signature = await wallet.request({method: "personal_sign", params: [hex(message), address]});
    await ask("/auth/siwe/verify", {method: "POST", body: JSON.stringify({message, signature, cookie: true})});
    window.location.assign(button.dataset.home);
  }

  section.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    says.textContent = "";
    try {
      await login();
    } catch (error) {
      says.textContent = error.message || "The wallet has refused.";
      button.disabled = false;
    }
  });
})();
