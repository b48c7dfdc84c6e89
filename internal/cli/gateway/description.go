package gateway

const description = `
   pin-gateway stands before the peers of an IPFS cluster. Whoever asks shows a
   token of an OIDC issuer, an API key, or a signature; policies decide what
   they may do; and it is recorded. Every tenant has pins of its own, by the
   Pinning Services API and by the cluster's REST API.

   Run "init" first: it writes pin-gateway.json with comments, and the files
   with secrets that it names. Then run "serve".

   Every setting can also come from the environment: PIN_GATEWAY_ and its path,
   for example PIN_GATEWAY_DATABASE_HOSTS (comma-separated),
   PIN_GATEWAY_PEERS_URLS and PIN_GATEWAY_PUBLIC_URL. Secrets come from files
   only. docs/gateway-configuration.md has all of them.

EXAMPLES:
   A gateway on this machine, for peers and a database elsewhere:

     $ pin-gateway --config /etc/pin-gateway/pin-gateway.json init
     $ pin-gateway --config /etc/pin-gateway/pin-gateway.json config --check
     $ pin-gateway --config /etc/pin-gateway/pin-gateway.json serve

   Why somebody may not do something:

     $ pin-gateway policy explain request.json

   Whether records were changed:

     $ pin-gateway audit verify --folder /backup/audit --key audit-public.pem`
