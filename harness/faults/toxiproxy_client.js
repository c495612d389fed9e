// What a test does with toxiproxy-node-client, against whatever speaks Toxiproxy's API; says nothing unless it is wrong.
//
//     toxiproxy_client.js API_URL REDIS_PORT
"use strict";
const assert = require("node:assert/strict");
const net = require("node:net");
const { Toxiproxy, ToxiproxyError } = require("toxiproxy-node-client");

const toxiproxy = new Toxiproxy(process.argv[2]);
const upstream = `127.0.0.1:${process.argv[3]}`;

/// What comes until the connection ends, or until `bytes` have, and how long that took.
function talk(listen, sent, bytes = Infinity) {
  const { port } = new URL(`tcp://${listen}`);
  return new Promise((resolve) => {
    const begin = process.hrtime.bigint();
    let heard = "";
    const socket = net.connect(Number(port), "127.0.0.1", () => socket.write(sent));
    const end = (code) => {
      socket.destroy();
      resolve({ heard, code, ms: Number(process.hrtime.bigint() - begin) / 1e6 });
    };
    socket.on("data", (data) => {
      heard += data;
      if (heard.length >= bytes) end();
    });
    socket.on("end", () => end("END"));
    socket.on("error", (error) => end(error.code));
  });
}
const ping = (proxy) => talk(proxy.listen, "PING\r\n", 7);

async function refused(call, status) {
  await assert.rejects(call, (error) => error instanceof ToxiproxyError && error.message.endsWith(` ${status}`));
}

async function proxies() {
  const made = await toxiproxy.createProxy({ name: "redis", listen: "localhost:0", upstream });
  assert.equal(made.name, "redis");
  assert.equal(made.upstream, upstream);
  assert.equal(made.enabled, true);
  assert.equal((await ping(made)).heard, "+PONG\r\n");
  await refused(toxiproxy.createProxy({ name: "redis", listen: "localhost:0", upstream }), 409);
  await refused(toxiproxy.createProxy({ name: "", listen: "localhost:0", upstream }), 400);
  await refused(toxiproxy.get("nobody"), 404);
  assert.deepEqual(Object.keys(await toxiproxy.getAll()), ["redis"]);

  const down = await made.update({ enabled: false, listen: made.listen, upstream });
  assert.equal(down.enabled, false);
  assert.equal((await ping(made)).code, "ECONNREFUSED");
  const up = await down.update({ enabled: true, listen: made.listen, upstream });
  assert.equal(up.listen, made.listen);
  assert.equal((await ping(up)).heard, "+PONG\r\n");
  return up;
}

async function toxics(proxy) {
  const slow = await proxy.addToxic({ type: "latency", attributes: { latency: 80, jitter: 10 } });
  assert.deepEqual(slow.toJson(), {
    attributes: { latency: 80, jitter: 10 }, name: "latency_downstream", stream: "downstream", toxicity: 1, type: "latency",
  });
  let said = await ping(proxy);
  assert.equal(said.heard, "+PONG\r\n");
  assert.ok(said.ms >= 70, `${said.ms} ms`);
  const slower = await slow.update({ ...slow.toJson(), attributes: { latency: 160, jitter: 0 } });
  assert.deepEqual(slower.attributes, { latency: 160, jitter: 0 });
  said = await ping(proxy);
  assert.ok(said.ms >= 159, `${said.ms} ms`);
  assert.deepEqual((await proxy.getToxic("latency_downstream")).toJson(), slower.toJson());
  await refused(proxy.addToxic({ type: "latency", attributes: {} }), 409);
  await refused(proxy.addToxic({ type: "nonsense", attributes: {} }), 400);
  await refused(proxy.addToxic({ type: "timeout", stream: "sideways", attributes: {} }), 400);
  await slower.remove();
  await refused(proxy.getToxic("latency_downstream"), 404);

  const reset = await proxy.addToxic({ name: "storm", type: "reset_peer", stream: "upstream", toxicity: 1, attributes: { timeout: 0 } });
  assert.equal((await ping(proxy)).code, "ECONNRESET");
  await reset.remove();

  await proxy.addToxic({ type: "limit_data", attributes: { bytes: 4 } });
  said = await ping(proxy);
  assert.deepEqual([said.heard, said.code], ["+PON", "END"]);
  await toxiproxy.reset();

  await proxy.addToxic({ type: "timeout", attributes: { timeout: 30 } });
  said = await ping(proxy);
  assert.deepEqual([said.heard, said.code], ["", "END"]);
  assert.ok(said.ms >= 29, `${said.ms} ms`);
  await toxiproxy.reset();

  // What Toxiproxy has not.
  await proxy.addToxic({ type: "cut_at_frame", attributes: { frame: 3 } });
  said = await talk(proxy.listen, "PING\r\nECHO hello\r\nPING\r\n");
  assert.deepEqual([said.heard, said.code], ["+PONG\r\n$5\r\nhello\r\n", "END"]);
  await toxiproxy.reset();
  assert.equal((await ping(proxy)).heard, "+PONG\r\n");
}

async function all() {
  assert.equal(JSON.parse(await toxiproxy.getVersion()).version, "2.12.0");
  const proxy = await proxies();
  await toxics(proxy);
  const populated = await toxiproxy.populate([
    { name: "redis", listen: proxy.listen, upstream },
    { name: "other", listen: "127.0.0.1:0", upstream, enabled: false },
  ]);
  assert.deepEqual(Object.keys(populated), ["redis", "other"]);
  assert.equal(populated.redis.listen, proxy.listen);
  assert.equal(populated.other.enabled, false);
  await toxiproxy.reset();
  assert.equal((await toxiproxy.get("other")).enabled, true);
  await proxy.remove();
  await refused(toxiproxy.get("redis"), 404);
  assert.equal((await ping(proxy)).code, "ECONNREFUSED");
}

all().catch((error) => {
  console.log(error);
  process.exit(1);
});
