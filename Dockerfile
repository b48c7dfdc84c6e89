# ipfs-cluster-service, ipfs-cluster-ctl, pin-gateway and pin-billing. Needs BuildKit, which
# Docker has used by default since version 23. docker-compose.yml shows how to
# run a peer, and the gateway with its own start script.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /out/ ./cmd/ipfs-cluster-service ./cmd/pin-gateway ./cmd/pin-billing github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl

FROM alpine:3.23.4
# A new volume gets the owner of the folder in the image.
RUN adduser -D -u 1000 -h /data/ipfs-cluster ipfs \
    && mkdir -p /data/ipfs-cluster /data/pin-gateway /data/pin-billing \
    && chown ipfs:ipfs /data/ipfs-cluster /data/pin-gateway /data/pin-billing
COPY --from=build /out/ /usr/local/bin/
COPY --chmod=755 deploy/entrypoint.sh deploy/gateway-entrypoint.sh deploy/billing-entrypoint.sh /usr/local/bin/
COPY --chmod=644 deploy/pin-gateway.json /etc/pin-gateway.json
COPY --chmod=644 deploy/pin-billing.json /etc/pin-billing.json
ENV IPFS_CLUSTER_PATH=/data/ipfs-cluster
ENV GATEWAY_PATH=/data/pin-gateway
ENV PIN_GATEWAY_CONFIG=/etc/pin-gateway.json
ENV BILLING_PATH=/data/pin-billing
ENV PIN_BILLING_CONFIG=/etc/pin-billing.json
USER ipfs
VOLUME /data/ipfs-cluster
# REST API, IPFS proxy, peers, pinning services API; gateway
EXPOSE 9094 9095 9096 9097 9098
ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]
CMD ["daemon"]
