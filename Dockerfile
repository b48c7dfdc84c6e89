# ipfs-cluster-service and ipfs-cluster-ctl. Needs BuildKit, which Docker has
# used by default since version 23. docker-compose.yml shows how to run it.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /out/ ./cmd/ipfs-cluster-service github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-ctl

FROM alpine:3.23.4
# A new volume gets the owner of the folder in the image.
RUN adduser -D -u 1000 -h /data/ipfs-cluster ipfs \
    && mkdir -p /data/ipfs-cluster \
    && chown ipfs:ipfs /data/ipfs-cluster
COPY --from=build /out/ /usr/local/bin/
COPY --chmod=755 deploy/entrypoint.sh /usr/local/bin/entrypoint.sh
ENV IPFS_CLUSTER_PATH=/data/ipfs-cluster
USER ipfs
VOLUME /data/ipfs-cluster
# REST API, IPFS proxy, peers, pinning services API
EXPOSE 9094 9095 9096 9097
ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]
CMD ["daemon"]
