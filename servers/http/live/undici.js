// What HTTP means to undici, Node's own client, against the server at the port; says nothing unless it is wrong.
//
//     undici.js PORT
"use strict";
const assert = require("node:assert/strict");
const zlib = require("node:zlib");
const { Client, fetch, Pool } = require("undici");

const origin = `http://127.0.0.1:${process.argv[2]}`;
const TEXT = "What is said often is said more shortly. ".repeat(100);

/// One connection, or several in turn: it counts them.
class Caller {
  constructor(options = {}) {
    this.connections = 0;
    this.client = new Client(origin, { bodyTimeout: 10_000, headersTimeout: 10_000, ...options });
    this.client.on("connect", () => ++this.connections);
  }

  async ask(method, path, { body, ...headers } = {}) {
    const answer = await this.client.request({ method, path, body, headers });
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) };
  }

  async status(...request) {
    return (await this.ask(...request)).status;
  }
}

async function keepsAlive() {
  const caller = new Caller();
  assert.equal(await caller.status("PUT", "/cache/k?ttl=60", { body: "value" }), 201);
  assert.equal(await caller.status("PUT", "/cache/k", { body: "value" }), 204);
  for (let i = 0; i < 50; ++i) {
    const { status, body } = await caller.ask("GET", "/cache/k");
    assert.deepEqual([status, body.toString()], [200, "value"]);
  }
  assert.equal(await caller.status("POST", "/cache/k/touch?ttl=30"), 204);
  assert.equal(await caller.status("GET", "/cache/none"), 404);
  assert.equal(await caller.status("DELETE", "/cache/k"), 204);
  assert.equal(await caller.status("GET", "/cache/k"), 404);
  assert.equal(caller.connections, 1);
  await caller.client.close();
}

async function pipelines() {
  const caller = new Caller({ pipelining: 10 });
  const keys = Array.from({ length: 100 }, (_, i) => `/cache/p${i}`);
  for (const [i, key] of keys.entries()) if (i % 3) await caller.ask("PUT", key, { body: `value ${i}` });
  const answers = await Promise.all(keys.map((key) => caller.ask("GET", key)));
  for (const [i, { status, body }] of answers.entries()) {
    assert.equal(status, i % 3 ? 200 : 404);
    if (i % 3) assert.equal(body.toString(), `value ${i}`);
  }
  assert.equal(caller.connections, 1);
  await caller.client.close();
}

async function asksConditionally(caller) {
  const { headers } = await caller.ask("PUT", "/cache/c", { body: "first" });
  const etag = headers.etag;
  assert.match(etag, /^"[^"]+"$/);
  const unchanged = await caller.ask("GET", "/cache/c", { "If-None-Match": `"other", ${etag}` });
  assert.deepEqual([unchanged.status, unchanged.headers.etag, unchanged.body.length], [304, etag, 0]);
  assert.equal(await caller.status("GET", "/cache/c", { "If-None-Match": '"other"' }), 200);
  assert.equal(await caller.status("PUT", "/cache/c", { body: "x", "If-Match": '"other"' }), 412);
  assert.equal(await caller.status("PUT", "/cache/c", { body: "x", "If-None-Match": "*" }), 412);
  assert.equal(await caller.status("PUT", "/cache/c", { body: "second", "If-Match": etag }), 204);
  assert.equal(await caller.status("PUT", "/cache/c", { body: "third", "If-Match": etag }), 412);
  assert.equal((await caller.ask("GET", "/cache/c")).body.toString(), "second");
}

async function readsCompressed(caller) {
  await caller.ask("PUT", "/cache/text", { body: TEXT });
  for (const [coding, unpack] of [["br", zlib.brotliDecompressSync], ["gzip", zlib.gunzipSync]]) {
    const until = Date.now() + 10_000;
    let answer;
    do {
      answer = await caller.ask("GET", "/cache/text", { "Accept-Encoding": coding }); // made behind the write
    } while (answer.headers["content-encoding"] === undefined && Date.now() < until);
    assert.equal(answer.headers["content-encoding"], coding);
    assert.equal(answer.headers.vary, "Accept-Encoding");
    assert.ok(answer.body.length < TEXT.length / 2);
    assert.equal(unpack(answer.body).toString(), TEXT);
    const again = await caller.ask("GET", "/cache/text", { "Accept-Encoding": coding, "If-None-Match": answer.headers.etag });
    assert.equal(again.status, 304);
  }
  assert.equal((await caller.ask("GET", "/cache/text")).body.toString(), TEXT);
  const fetched = await fetch(`${origin}/cache/text`, { headers: { "Accept-Encoding": "br, gzip" } });
  assert.equal(fetched.headers.get("content-encoding"), "br");
  assert.equal(await fetched.text(), TEXT);
}

async function asksForParts(caller) {
  await caller.ask("PUT", "/cache/r", { body: "0123456789" });
  const part = await caller.ask("GET", "/cache/r", { Range: "bytes=2-4" });
  assert.deepEqual([part.status, part.headers["content-range"], part.body.toString()], [206, "bytes 2-4/10", "234"]);
  assert.equal((await caller.ask("GET", "/cache/r", { Range: "bytes=-3" })).body.toString(), "789");
  const beyond = await caller.ask("GET", "/cache/r", { Range: "bytes=10-" });
  assert.deepEqual([beyond.status, beyond.headers["content-range"]], [416, "bytes */10"]);
  const stale = await caller.ask("GET", "/cache/r", { Range: "bytes=2-4", "If-Range": '"other"' });
  assert.deepEqual([stale.status, stale.body.toString()], [200, "0123456789"]);
}

/// It takes a new connection after each HEAD, on purpose.
async function asksForHeads() {
  const caller = new Caller();
  await caller.ask("PUT", "/cache/h", { body: TEXT });
  const head = await caller.ask("HEAD", "/cache/h");
  const whole = await caller.ask("GET", "/cache/h");
  assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, String(TEXT.length), 0]);
  assert.equal(head.headers.etag, whole.headers.etag);
  assert.equal(await caller.status("HEAD", "/cache/none"), 404);
  await caller.client.close();
}

async function* pieces(count, size) {
  for (let i = 0; i < count; ++i) yield Buffer.alloc(size, i);
}

async function sendsChunks(caller) {
  for (const [count, size] of [[1, 1], [300, 1000], [20, 100_000]]) {
    assert.ok([201, 204].includes(await caller.status("PUT", "/cache/chunks", { body: pieces(count, size) })));
    const expected = Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(size, i)));
    assert.deepEqual((await caller.ask("GET", "/cache/chunks")).body, expected);
  }
}

async function namesKeys(caller) {
  for (const key of ["a/b", "ü €", "100%", "?&=#", "\0\r\n", ".."]) {
    const path = `/cache/${encodeURIComponent(key).replace(/\./g, "%2E")}`;
    assert.equal(await caller.status("PUT", path, { body: key }), 201, key);
    assert.equal((await caller.ask("GET", path)).body.toString(), key);
  }
}

async function explainsRefusals(caller) {
  const refused = await caller.ask("GET", "/cache/none");
  assert.equal(refused.headers["content-type"], "application/problem+json");
  assert.equal(JSON.parse(refused.body).status, 404);
  assert.equal(await caller.status("PATCH", "/cache/k"), 405);
  assert.equal(await caller.status("PUT", "/cache/k?ttl=soon", { body: "x" }), 400);
  assert.equal(await caller.status("GET", "/nothing"), 404);
}

/// A client that leaves costs nobody else anything.
async function leavesEarly() {
  const size = 8 << 20;
  const whole = new Caller();
  await whole.ask("PUT", "/cache/large", { body: Buffer.alloc(size, "x") });
  for (let i = 0; i < 20; ++i) {
    const caller = new Caller();
    const { statusCode, body } = await caller.client.request({ method: "GET", path: "/cache/large" });
    assert.equal(statusCode, 200);
    for await (const some of body) {
      assert.ok(some.length > 0);
      break; // the rest is not read, and the connection not used again
    }
    assert.equal(await caller.status("GET", "/cache/none"), 404);
    assert.equal(caller.connections, 2);
    await caller.client.close();
  }
  const upload = new Caller();
  async function* broken() {
    yield Buffer.alloc(100_000);
    throw new Error("the source ran dry");
  }
  await assert.rejects(upload.ask("PUT", "/cache/half", { body: broken() }), /the source ran dry/);
  assert.equal(await upload.status("GET", "/cache/half"), 404);
  const aborted = new AbortController();
  const asked = upload.client.request({ method: "GET", path: "/cache/large", signal: aborted.signal });
  aborted.abort();
  await assert.rejects(asked, { name: "AbortError" });
  await upload.client.close();
  assert.equal((await whole.ask("GET", "/cache/large")).body.length, size);
  await whole.client.close();
}

async function asksOverManyConnections() {
  const pool = new Pool(origin, { connections: 16, pipelining: 4 });
  await (await pool.request({ method: "PUT", path: "/cache/shared", body: TEXT })).body.dump();
  const answers = Array.from({ length: 800 }, async () => (await pool.request({ method: "GET", path: "/cache/shared" })).body.text());
  for (const text of await Promise.all(answers)) assert.equal(text, TEXT);
  await pool.close();
}

async function main() {
  await keepsAlive();
  await pipelines();
  const caller = new Caller();
  for (const what of [asksConditionally, readsCompressed, asksForParts, sendsChunks, namesKeys, explainsRefusals]) {
    await what(caller);
  }
  assert.equal(caller.connections, 1);
  await caller.client.close();
  await asksForHeads();
  await leavesEarly();
  await asksOverManyConnections();
}

main().catch((error) => {
  console.log(error);
  process.exit(1);
});
