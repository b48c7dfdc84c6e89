package billing

const description = `
   pin-billing counts what the tenants of a gateway hold: bytes and pins, each
   for how long, to the millisecond. Every day is closed once, and what comes
   later is an adjustment. Price plans say what that costs.

   Run "init" first: it writes pin-billing.json with comments, and the files
   with tokens that it names. Decide what claims says before the first day.
   Then run "serve", and give the gateway a copy of gateway-token.

   Every setting can also come from the environment: PIN_BILLING_ and its path,
   for example PIN_BILLING_DATABASE_HOSTS (comma-separated),
   PIN_BILLING_EVENTS_URLS and PIN_BILLING_CLAIMS_SINCE. Secrets come from files
   only. docs/billing-configuration.md has all of them.

EXAMPLES:
   A service on this machine, for a gateway and a database elsewhere:

     $ pin-billing --config /etc/pin-billing/pin-billing.json init
     $ pin-billing --config /etc/pin-billing/pin-billing.json config --check
     $ pin-billing --config /etc/pin-billing/pin-billing.json serve

   Whether price lists are right:

     $ pin-billing plan lint plans

   What a tenant has used, and why a day is as it is:

     $ pin-billing usage --from 2026-12-01 acme
     $ pin-billing explain --day 2026-12-03 acme

   Whether what was closed follows from what was told, and from what is there:

     $ pin-billing recompute
     $ pin-billing reconcile`
