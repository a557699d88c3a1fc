# The images of Candlewick, a target for each process:
#
#   docker build --target processor -t candlewick/processor:0.1.0 .
#
# Targets: producer, processor, query-api, jobs (migrations and topics), exchange. It needs no BuildKit.

ARG NODE_VERSION=24

# --- All dependencies: what the build needs, and npm's cache for the stages that install less ------------------------

FROM node:${NODE_VERSION}-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY schemas/package.json schemas/
COPY streams/package.json streams/
COPY streams/examples/card-fraud/package.json streams/examples/card-fraud/
COPY streams/examples/word-count/package.json streams/examples/word-count/
COPY service/package.json service/
COPY producer/package.json producer/
COPY processor/package.json processor/
COPY cassandra/package.json cassandra/
COPY query-api/package.json query-api/
COPY dev/package.json dev/
COPY tests/package.json tests/
COPY bench/package.json bench/
# The one dependency with an install script, classic-level, brings prebuilt binaries that are found without it.
RUN npm ci --ignore-scripts

FROM dependencies AS build
COPY . .
# What runs is JavaScript: type declarations and source maps stay here.
RUN npm run build \
  && find ./*/dist \( -name '*.d.ts' -o -name '*.map' -o -name '*.test.js' \) -delete \
  && for workspace in schemas streams service producer processor cassandra query-api dev; do \
    mkdir -p "/out/$workspace" && cp -r "$workspace/package.json" "$workspace/dist" "/out/$workspace/" || exit 1; \
  done \
  && cp -r schemas/*.avsc schemas/history /out/schemas/ \
  && cp -r cassandra/migrations /out/cassandra/ \
  && mkdir /out/query-api/web && cp -r query-api/web/dist /out/query-api/web/ \
  && mkdir -p /state

# --- Production dependencies, per process ----------------------------------------------------------------------------
# Of LevelDB the binaries for Linux (glibc) on amd64 and arm64 are kept; sources, types and maps go.

FROM dependencies AS modules
RUN for workspace in producer processor query-api dev; do \
    npm ci --omit=dev --ignore-scripts --prefer-offline -w "$workspace" \
      && mkdir -p "/modules/$workspace" && mv node_modules "/modules/$workspace/" || exit 1; \
  done \
  && rm -r /modules/*/node_modules/classic-level/deps \
  && find /modules -type f -path '*/classic-level/prebuilds/*' \
    ! -path '*/linux-arm64/*' ! -path '*/linux-x64/classic-level.node' -delete \
  && find /modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.test.js' \) -delete

# --- What all images share -------------------------------------------------------------------------------------------

FROM node:${NODE_VERSION}-bookworm-slim AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.source="${SOURCE}" \
  org.opencontainers.image.vendor="Candlewick" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY LICENSE ./
USER 1000:1000

# --- The images ------------------------------------------------------------------------------------------------------
# Each process is PID 1 itself and ends in order on SIGTERM. Nothing is written but STATE_DIR (the processor's), so the
# root file system may be read-only.

FROM runtime AS producer
LABEL org.opencontainers.image.title="Candlewick producer" \
  org.opencontainers.image.description="Reads live trades from a feed, validates them and puts them on Kafka."
COPY --from=modules /modules/producer/node_modules node_modules
COPY --from=build /out/schemas schemas
COPY --from=build /out/streams streams
COPY --from=build /out/service service
COPY --from=build /out/producer producer
ENV PRODUCER_PORT=8082
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["node", "service/dist/healthcheck-main.js", "PRODUCER_PORT"]
CMD ["node", "producer/dist/main.js"]

FROM runtime AS processor
LABEL org.opencontainers.image.title="Candlewick processor" \
  org.opencontainers.image.description="Keeps running averages and bars of the trades, exactly once, and fills Cassandra."
COPY --from=modules /modules/processor/node_modules node_modules
COPY --from=build /out/schemas schemas
COPY --from=build /out/streams streams
COPY --from=build /out/service service
COPY --from=build /out/cassandra cassandra
COPY --from=build /out/processor processor
# A new volume takes over the owner of the directory it is mounted on.
COPY --from=build --chown=1000:1000 /state /var/lib/candlewick
VOLUME /var/lib/candlewick
ENV PROCESSOR_PORT=8083 STATE_DIR=/var/lib/candlewick
EXPOSE 8083
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["node", "service/dist/healthcheck-main.js", "PROCESSOR_PORT"]
CMD ["node", "processor/dist/main.js"]

FROM runtime AS query-api
LABEL org.opencontainers.image.title="Candlewick query API" \
  org.opencontainers.image.description="REST, WebSocket and the live page."
COPY --from=modules /modules/query-api/node_modules node_modules
COPY --from=build /out/schemas schemas
COPY --from=build /out/streams streams
COPY --from=build /out/service service
COPY --from=build /out/cassandra cassandra
COPY --from=build /out/query-api query-api
ENV API_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["node", "service/dist/healthcheck-main.js", "API_PORT"]
CMD ["node", "query-api/dist/main.js"]

# Migrations unless told otherwise; the topics: node processor/dist/create-topics-main.js. The processor's dependencies
# hold those of both.
FROM runtime AS jobs
LABEL org.opencontainers.image.title="Candlewick jobs" \
  org.opencontainers.image.description="Creates the topics on Kafka and the tables in Cassandra."
COPY --from=modules /modules/processor/node_modules node_modules
COPY --from=build /out/schemas schemas
COPY --from=build /out/streams streams
COPY --from=build /out/service service
COPY --from=build /out/cassandra cassandra
COPY --from=build /out/processor processor
HEALTHCHECK NONE
CMD ["node", "cassandra/dist/migrate-main.js"]

FROM runtime AS exchange
LABEL org.opencontainers.image.title="Candlewick exchange" \
  org.opencontainers.image.description="A simulated exchange that speaks Finnhub's WebSocket protocol."
COPY --from=modules /modules/dev/node_modules node_modules
COPY --from=build /out/service service
COPY --from=build /out/producer/package.json producer/
COPY --from=build /out/producer/dist/recording producer/dist/recording
COPY --from=build /out/dev/package.json dev/
COPY --from=build /out/dev/dist/exchange dev/dist/exchange
ENV EXCHANGE_PORT=8081
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["node", "service/dist/healthcheck-main.js", "EXCHANGE_PORT"]
CMD ["node", "dev/dist/exchange/main.js"]
