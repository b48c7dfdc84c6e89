// Writes answers.json: answers to a challenge that another implementation signed.
//   npm install --ignore-scripts did-jwt@9.0.1 @noble/curves@1.2.0 && node made.mjs > answers.json
import { createJWT, ES256KSigner, ES256Signer, EdDSASigner } from 'did-jwt'
import { secp256k1 } from '@noble/curves/secp256k1'
import { p256 } from '@noble/curves/p256'
import { ed25519 } from '@noble/curves/ed25519'
import { base58btc } from 'multiformats/bases/base58'

const secret = new Uint8Array(32).fill(7)
const did = (code, key) => 'did:key:' + base58btc.encode(new Uint8Array([...code, ...key]))
const keys = {
  EdDSA: [did([0xed, 0x01], ed25519.getPublicKey(secret)), EdDSASigner(new Uint8Array([...secret, ...ed25519.getPublicKey(secret)]))],
  ES256: [did([0x80, 0x24], p256.getPublicKey(secret, true)), ES256Signer(secret)],
  ES256K: [did([0xe7, 0x01], secp256k1.getPublicKey(secret, true)), ES256KSigner(secret)],
}
const made = []
for (const [alg, [issuer, signer]] of Object.entries(keys)) {
  // The tests' time begins in the year 2000.
  const payload = { sub: issuer, aud: 'https://pins.example.com', nonce: 'made-elsewhere', iat: 946684800, exp: 946684860 }
  made.push({ alg, did: issuer, jws: await createJWT(payload, { issuer, signer, alg }, { alg, typ: 'did-auth+jwt' }) })
}
console.log(JSON.stringify(made, null, 1))
