// Writes signed.json: texts of EIP-4361 that two other implementations wrote and signed.
//   npm install --ignore-scripts viem@2.57.20 siwe@3.0.0 && node made.mjs > signed.json
import { privateKeyToAccount } from 'viem/accounts'
import { createSiweMessage } from 'viem/siwe'
import { SiweMessage } from 'siwe'
import { Wallet } from 'ethers'

const key = n => '0x' + n.toString(16).padStart(64, '0')
const issued = new Date('2026-01-02T03:04:05.678Z')
const base = account => ({ address: account.address, chainId: 1, domain: 'pins.example.com', nonce: 'abcdef0123456789', uri: 'https://pins.example.com/login', version: '1', issuedAt: issued })
const made = []

const variants = {
  plain: {},
  statement: { statement: 'Sign in to pin. I accept the terms: https://pins.example.com/tos' },
  all: {
    statement: 'Sign in.', scheme: 'https', expirationTime: new Date('2026-01-02T03:14:05.000Z'), notBefore: issued, requestId: 'id-1',
    resources: ['ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/', 'https://example.com/my-web2-claim.json'],
  },
  port: { domain: 'localhost:8080', uri: 'http://localhost:8080', chainId: 10 },
}
let n = 1
for (const [name, more] of Object.entries(variants)) {
  const account = privateKeyToAccount(key(n++))
  const message = createSiweMessage({ ...base(account), ...more })
  made.push({ name: 'viem ' + name, message, signature: await account.signMessage({ message }), address: account.address })
}
for (const [name, more] of Object.entries(variants)) {
  const wallet = new Wallet(key(n++))
  const iso = Object.fromEntries(Object.entries({ ...base(wallet), ...more }).map(([k, v]) => [k, v instanceof Date ? v.toISOString() : v]))
  const message = new SiweMessage(iso).prepareMessage()
  made.push({ name: 'siwe ' + name, message, signature: await wallet.signMessage(message), address: wallet.address })
}
console.log(JSON.stringify(made, null, 1))
