# docker build -t toplet:v0.1.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# .cargo/config.toml makes the binary static: nothing else goes into the image.
RUN cargo build --release --locked

FROM scratch
COPY --from=build /src/target/release/toplet /toplet
LABEL org.opencontainers.image.title="toplet" \
      org.opencontainers.image.description="The Kubernetes Metrics API in one static binary of a few MiB" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65534:65534
EXPOSE 10250
ENTRYPOINT ["/toplet"]
