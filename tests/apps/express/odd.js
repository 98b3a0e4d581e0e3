// Spans of servers with values that exporters write in odd ways: in JSON and in protobuf, by what OpenTelemetry publishes.
"use strict";

const { context, trace, SpanKind } = require("@opentelemetry/api");
const { TracerProvider, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const json = require("@opentelemetry/exporter-trace-otlp-http");
const protobuf = require("@opentelemetry/exporter-trace-otlp-proto");

const ODD = {
  // Beyond 64 bit.
  large: 2 ** 64,
  // In JSON they are null.
  unknown: NaN,
  endless: Infinity,
  // The first half of a pair, as a limit of lengths leaves it.
  half: "cut \ud83d",
  gap: ["a", null, "b"],
  none: [],
};

async function send(format, { OTLPTraceExporter }) {
  const exporter = new OTLPTraceExporter({ url: `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": `odd-${format}`, ...ODD }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer("odd");
  for (const [name, value] of [["plain", "plain"], ...Object.entries(ODD)]) {
    const attributes = { "http.request.method": "GET", "http.route": `/${name}`, "http.response.status_code": 200, [name]: value };
    tracer.startSpan("GET", { kind: SpanKind.SERVER, attributes }, context.active()).end();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

send("json", json).then(() => send("protobuf", protobuf)).catch((error) => {
  console.error(error);
  process.exit(1);
});
