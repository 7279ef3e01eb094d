// A foreign client for the tests: prints one JSON line per event, takes its orders from argv.
// node client.js PORT VERSION sub FILTER COUNT [QOS] | pub TOPIC PAYLOAD QOS RETAIN | will TOPIC PAYLOAD
const mqtt = require("mqtt");
const [port, version, verb, ...rest] = process.argv.slice(2);
const options = { protocolVersion: Number(version), reconnectPeriod: 0, connectTimeout: 5000 };
if (verb === "will") {
  options.will = { topic: rest[0], payload: rest[1], qos: 1, retain: false };
}
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, options);
const say = (event) => console.log(JSON.stringify(event));
let left = Number(rest[1]);

client.on("error", (e) => { say({ error: e.message }); process.exit(1); });
client.on("message", (topic, payload, packet) => {
  say({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain,
        properties: packet.properties });
  if (--left === 0) client.end(false, () => process.exit(0));
});
client.on("connect", (connack) => {
  say({ connected: connack.sessionPresent, code: connack.reasonCode ?? connack.returnCode });
  if (verb === "sub") {
    client.subscribe(rest[0], { qos: Number(rest[2] ?? 1) }, (e, granted) => say({ subscribed: granted.map((g) => g.qos) }));
  } else if (verb === "pub") {
    client.publish(rest[0], rest[1], { qos: Number(rest[2]), retain: rest[3] === "true" }, (e) => {
      say({ published: e ? e.message : true });
      client.end(false, () => process.exit(e ? 1 : 0));
    });
  } else if (verb === "will") {
    client.stream.destroy();
    setTimeout(() => process.exit(0), 200);
  }
});
