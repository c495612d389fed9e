// What an application does with ioredis, against whatever answers at the port; says nothing unless it is wrong.
//
//     ioredis.js PORT        every command, as with a Redis behind
//     ioredis.js PORT basic  strings, keys, expiry, hashes, SCAN, transactions and channels, which the embedded stores have too
"use strict";
const assert = require("node:assert/strict");
const Redis = require("ioredis");

const port = Number(process.argv[2]);
const BINARY = Buffer.from(Array.from({ length: 256 * 1000 }, (_, i) => i % 256));
const UNKNOWN = /unknown command '\w+' with the embedded L2; it needs --l2 redis:/;
const { ReplyError } = Redis;

const clients = [];

/// Speaks RESP2, the only version that it knows.
function connect(options = {}) {
  const client = new Redis({ port, host: "127.0.0.1", maxRetriesPerRequest: 0, retryStrategy: null, ...options });
  client.on("error", (error) => assert.fail(error));
  clients.push(client);
  return client;
}

/// The values of a pipeline's or a transaction's replies, none of which is an error.
function values(replies) {
  return replies.map(([error, value]) => (assert.equal(error, null), value));
}

async function all(stream) {
  const found = [];
  for await (const part of stream) found.push(...part);
  return found;
}

async function connection(client) {
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.echo("said"), "said");
  const named = connect({ connectionName: "shop", db: 3 });
  assert.equal(await named.client("GETNAME"), "shop");
  assert.equal(await named.set("elsewhere", "3"), "OK");
  assert.equal(await client.get("elsewhere"), null);
  assert.match(await client.info("server"), /redis_version:7/);
}

async function strings(client) {
  assert.equal(await client.set("k", "v"), "OK");
  assert.equal(await client.get("k"), "v");
  assert.equal(await client.set("k", "w", "NX"), null);
  assert.equal(await client.set("k", "w", "XX", "GET"), "v");
  assert.equal(await client.mset({ a: 1, b: 2 }), "OK");
  assert.deepEqual(await client.mget("a", "none", "b"), ["1", null, "2"]);
  assert.equal(await client.incrby("a", 41), 42);
  assert.equal(await client.incrbyfloat("a", 0.5), "42.5");
  assert.equal(await client.append("k", "xyz"), 4);
  assert.equal(await client.getrange("k", 1, -1), "xyz");
  assert.equal(await client.getdel("k"), "wxyz");
  assert.equal(await client.exists("a", "b", "k"), 2);
  assert.equal(await client.unlink("a", "k"), 1);

  assert.equal(await client.set("binary", BINARY), "OK");
  assert.deepEqual(await client.getBuffer("binary"), BINARY);
  const name = Buffer.from([0, 13, 10, 255, 32]);
  assert.equal(await client.set(name, "odd name"), "OK");
  assert.equal(await client.get(name), "odd name");

  const prefixed = connect({ keyPrefix: "app:" });
  assert.equal(await prefixed.set("k", "v"), "OK");
  assert.equal(await client.get("app:k"), "v");
}

async function expiry(client) {
  assert.equal(await client.setex("t", 100, "v"), "OK");
  assert.ok((await client.ttl("t")) > 80);
  assert.equal(await client.set("t", "w", "KEEPTTL"), "OK");
  assert.ok((await client.pttl("t")) > 80_000);
  assert.equal(await client.expire("t", 200, "GT"), 1);
  assert.equal(await client.expire("t", 100, "GT"), 0);
  const end = Math.floor(Date.now() / 1000) + 500;
  assert.equal(await client.expireat("t", end), 1);
  assert.equal(await client.expiretime("t"), end);
  assert.equal(await client.getex("t", "PX", 90_000), "w");
  assert.ok((await client.pttl("t")) <= 90_000);
  assert.equal(await client.persist("t"), 1);
  assert.equal(await client.ttl("t"), -1);
  assert.equal(await client.ttl("none"), -2);
  assert.equal(await client.pexpire("t", 1), 1);
  while ((await client.exists("t")) === 1);
  assert.equal(await client.get("t"), null);
}

async function hashes(client) {
  assert.equal(await client.hset("h", { f: 1, g: 2 }), 2);
  assert.deepEqual(await client.hgetall("h"), { f: "1", g: "2" });
  assert.deepEqual(await client.hmget("h", "f", "none"), ["1", null]);
  assert.equal(await client.hincrby("h", "f", 4), 5);
  assert.equal(await client.hdel("h", "g"), 1);
}

async function pipelines(client) {
  const pipeline = client.pipeline();
  for (let i = 0; i < 500; ++i) pipeline.set(`p:${i}`, i).get(`p:${i}`);
  const expected = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? "OK" : String((i - 1) / 2)));
  assert.deepEqual(values(await pipeline.exec()), expected);

  const automatic = connect({ enableAutoPipelining: true });
  const read = await Promise.all(Array.from({ length: 500 }, (_, i) => automatic.get(`p:${i}`)));
  assert.deepEqual(read, Array.from({ length: 500 }, (_, i) => String(i)));

  // One that fails leaves the others alone.
  const [first, second, third] = await client.pipeline().set("text", "x").incr("text").get("text").exec();
  assert.deepEqual([first, third], [[null, "OK"], [null, "x"]]);
  assert.match(second[0].message, /^ERR value is not an integer/);
}

async function scans(client) {
  const keys = await all(client.scanStream({ match: "p:1*", count: 50 }));
  assert.equal(new Set(keys).size, 111);
  assert.ok((await client.dbsize()) > 500);
  assert.equal((await client.keys("p:49?")).length, 10);
  assert.equal(await client.type("h"), "hash");
  assert.deepEqual(await all(client.hscanStream("h")), ["f", "5"]);
  assert.deepEqual(await client.hrandfield("h", 2, "WITHVALUES"), ["f", "5"]);
  assert.equal(await client.rename("h", "h2"), "OK");
  assert.equal(await client.renamenx("h2", "h"), 1);
}

async function errors(client) {
  const refuses = (call, text) => assert.rejects(call, (error) => error instanceof ReplyError && text.test(error.message));
  await refuses(client.incr("text"), /^ERR value is not an integer or out of range$/);
  await refuses(client.hget("text", "f"), /^WRONGTYPE Operation against a key holding the wrong kind of value$/);
  await refuses(client.set("text", "x", "EX", 0), /^ERR invalid expire time in 'set' command$/);
  await refuses(client.call("GET"), /^ERR wrong number of arguments for 'get' command$/);
}

async function basic(client) {
  await client.flushall();
  await connection(client);
  await strings(client);
  await expiry(client);
  await hashes(client);
  await pipelines(client);
  await scans(client);
  await errors(client);
}

async function otherTypes(client) {
  assert.equal(await client.rpush("l", "a", "b", "c"), 3);
  assert.deepEqual(await client.lrange("l", -2, -1), ["b", "c"]);
  assert.equal(await client.sadd("s", "m", "n"), 2);
  assert.deepEqual((await all(client.sscanStream("s"))).sort(), ["m", "n"]);
  assert.equal(await client.zadd("z", 1.5, "x", 2, "y"), 2);
  assert.deepEqual(await client.zrange("z", 0, -1, "WITHSCORES"), ["x", "1.5", "y", "2"]);
  assert.deepEqual(await all(client.zscanStream("z")), ["x", "1.5", "y", "2"]);
  const id = await client.xadd("stream", "*", "f", "v");
  assert.deepEqual(await client.xrange("stream", "-", "+"), [[id, ["f", "v"]]]);
}

async function scripts(client) {
  assert.deepEqual(await client.eval("return {KEYS[1], ARGV[1], 3}", 1, "k", "v"), ["k", "v", 3]);
  client.defineCommand("addTo", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" });
  await client.set("n", 1);
  assert.equal(await client.addTo("n", 2), 3); // by its hash, which is not known yet
  assert.equal(await client.get("n"), "3");
  assert.deepEqual(values(await client.pipeline().addTo("n", 2).get("n").exec()), [5, "5"]);
  assert.deepEqual(values(await client.multi().addTo("n", 2).get("n").exec()), [7, "7"]);
  await assert.rejects(client.eval("return redis.error_reply('MINE not now')", 0), /MINE not now/);
  await assert.rejects(client.evalsha("0".repeat(40), 0), /NOSCRIPT No matching script/);
}

async function transactions(client) {
  assert.deepEqual(values(await client.multi().set("n", 1).incr("n").get("n").exec()), ["OK", 2, "2"]);
  assert.equal(await client.get("n"), "2");
  await client.multi({ pipeline: false });
  assert.equal(await client.set("n", 5), "QUEUED");
  assert.equal(await client.get("n"), "QUEUED");
  assert.deepEqual(values(await client.exec()), ["OK", "5"]);
  await client.multi({ pipeline: false });
  assert.equal(await client.set("n", 6), "QUEUED");
  assert.equal(await client.discard(), "OK");
  const other = connect();
  await client.watch("n");
  const seen = Number(await client.get("n"));
  await other.incr("n");
  assert.equal(await client.multi().set("n", seen * 10).exec(), null);
  await client.watch("n");
  const now = Number(await client.get("n"));
  assert.deepEqual(values(await client.multi().set("n", now * 10).exec()), ["OK"]);
  assert.equal(await other.get("n"), "60");
}

async function blocking(client) {
  const taken = connect().blpop("queue", 20);
  await client.rpush("queue", "element");
  assert.deepEqual(await taken, ["queue", "element"]);
}

async function subscriptions(client) {
  const subscriber = connect();
  const heard = [];
  let enough;
  const three = new Promise((resolve) => (enough = resolve));
  const hear = (...words) => heard.push(words.map(String).join(" ")) === 3 && enough();
  subscriber.on("message", hear);
  subscriber.on("pmessageBuffer", hear);
  assert.equal(await subscriber.subscribe("news"), 1);
  assert.equal(await subscriber.psubscribe("new*"), 2);
  assert.equal(await client.publish("news", "one"), 2);
  assert.equal(await client.publish("newer", "two"), 1);
  await three;
  assert.deepEqual(heard.sort(), ["new* newer two", "new* news one", "news one"]);
  await assert.rejects(subscriber.get("k"), /subscriber mode/);
  assert.equal(await subscriber.unsubscribe("news"), 1);
  assert.equal(await subscriber.punsubscribe("new*"), 0);
  assert.equal(await subscriber.ping(), "PONG");
}

async function monitoring(client) {
  const monitor = await connect().monitor();
  const seen = new Promise((resolve) => monitor.on("monitor", (_, words) => words[2] === "watched" && resolve(words)));
  await client.call("OBJECT", "ENCODING", "watched");
  assert.deepEqual(await seen, ["OBJECT", "ENCODING", "watched"]);
  monitor.disconnect();
}

async function whatNeedsRedis(client) {
  await assert.rejects(client.lpush("l", "a"), UNKNOWN);
  await assert.rejects(client.eval("return 1", 0), UNKNOWN);
  await assert.rejects(client.multi().set("k", "v").lpush("l", "a").exec(), /EXECABORT/);
  assert.equal(await client.ping(), "PONG");
}

async function main() {
  const client = connect();
  await basic(client);
  await transactions(client);
  await subscriptions(client);
  if (process.argv[3] === "basic") {
    await whatNeedsRedis(client);
  } else {
    await otherTypes(client);
    await scripts(client);
    await blocking(client);
    await monitoring(client);
  }
  await Promise.all(clients.map((each) => each.status === "ready" && each.quit()));
}

main().then(
  () => process.exit(0), // ioredis leaves a timer behind
  (error) => {
    console.log(error);
    process.exit(1);
  },
);
