// What an application does with node-redis, against whatever answers at the port; says nothing unless it is wrong.
//
//     node_redis.js PORT        every command, as with a Redis behind
//     node_redis.js PORT basic  strings, keys, expiry, hashes, SCAN, transactions and channels, which the embedded stores have too
"use strict";
const assert = require("node:assert/strict");
const { createClient, defineScript, ErrorReply, RESP_TYPES, WatchError } = require("redis");

const port = Number(process.argv[2]);
const BINARY = Buffer.from(Array.from({ length: 256 * 1000 }, (_, i) => i % 256));
const UNKNOWN = /unknown command '\w+' with the embedded L2; it needs --l2 redis:/;

const addTo = defineScript({
  SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, by) {
    parser.pushKey(key);
    parser.push(String(by));
  },
  transformReply: (reply) => reply,
});

async function connect(RESP, options = {}) {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP, scripts: { addTo }, ...options });
  client.on("error", (error) => assert.fail(error));
  await client.connect();
  return client;
}

async function within(client, work) {
  await work(client);
  await client.close();
}

async function connection(client, RESP) {
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.echo("said"), "said");
  assert.equal(await client.clientSetName("shop"), "OK");
  assert.equal(await client.clientGetName(), "shop");
  assert.equal((await client.clientInfo()).resp, RESP);
  assert.equal((await client.hello(RESP)).proto, RESP);
  await client.select(3);
  assert.equal(await client.set("elsewhere", "3"), "OK");
  await client.select(0);
  assert.equal(await client.get("elsewhere"), null);
}

async function strings(client) {
  assert.equal(await client.set("k", "v"), "OK");
  assert.equal(await client.get("k"), "v");
  assert.equal(await client.set("k", "w", { condition: "NX" }), null);
  assert.equal(await client.set("k", "w", { condition: "XX", GET: true }), "v");
  assert.equal(await client.mSet({ a: "1", b: "2" }), "OK");
  assert.deepEqual(await client.mGet(["a", "none", "b"]), ["1", null, "2"]);
  assert.equal(await client.incrBy("a", 41), 42);
  assert.equal(await client.append("k", "xyz"), 4);
  assert.equal(await client.getRange("k", 1, -1), "xyz");
  assert.equal(await client.getDel("k"), "wxyz");
  assert.equal(await client.exists(["a", "b", "k"]), 2);
  assert.equal(await client.del(["a", "k"]), 1);

  assert.equal(await client.set("binary", BINARY), "OK");
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  assert.deepEqual(await bytes.get("binary"), BINARY);
  const name = Buffer.from([0, 13, 10, 255, 32]);
  assert.equal(await client.set(name, "odd name"), "OK");
  assert.equal(await client.get(name), "odd name");
  assert.equal(await client.set("empty", ""), "OK");
  assert.equal(await client.get("empty"), "");
}

async function expiry(client) {
  assert.equal(await client.set("t", "v", { expiration: { type: "EX", value: 100 } }), "OK");
  assert.ok((await client.ttl("t")) > 80);
  assert.equal(await client.set("t", "w", { expiration: "KEEPTTL" }), "OK");
  assert.ok((await client.pTTL("t")) > 80_000);
  assert.equal(await client.expire("t", 200, "GT"), 1);
  assert.equal(await client.expire("t", 100, "GT"), 0);
  assert.ok((await client.ttl("t")) > 150);
  const end = Math.floor(Date.now() / 1000) + 500;
  assert.equal(await client.expireAt("t", end), 1);
  assert.equal(await client.expireTime("t"), end);
  assert.equal(await client.pExpireTime("t"), end * 1000);
  assert.equal(await client.getEx("t", { type: "PX", value: 90_000 }), "w");
  assert.ok((await client.pTTL("t")) <= 90_000);
  assert.equal(await client.persist("t"), 1);
  assert.equal(await client.ttl("t"), -1);
  assert.equal(await client.ttl("none"), -2);
  assert.equal(await client.pExpire("t", 1), 1);
  while ((await client.exists("t")) === 1);
  assert.equal(await client.get("t"), null);
}

async function hashes(client) {
  assert.equal(await client.hSet("h", { f: "1", g: "2" }), 2);
  assert.deepEqual({ ...(await client.hGetAll("h")) }, { f: "1", g: "2" });
  assert.deepEqual(await client.hmGet("h", ["f", "none"]), ["1", null]);
  assert.equal(await client.hIncrBy("h", "f", 4), 5);
  assert.equal(await client.hDel("h", "g"), 1);
}

async function pipelines(client) {
  const names = Array.from({ length: 500 }, (_, i) => `p:${i}`);
  await Promise.all(names.map((name, i) => client.set(name, String(i))));
  const read = await Promise.all(names.map((name) => client.get(name)));
  assert.deepEqual(read, names.map((_, i) => String(i)));
  const replies = await client.multi().set("one", "1").incr("one").get("one").execAsPipeline();
  assert.deepEqual(replies, ["OK", 2, "2"]);
}

async function scans(client) {
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "p:1*", COUNT: 50 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 111);
  assert.ok((await client.dbSize()) > 500);
  assert.equal((await client.keys("p:49?")).length, 10);
  assert.equal(await client.type("h"), "hash");
}

async function errors(client) {
  await client.set("text", "x");
  await assert.rejects(client.incr("text"), (error) => error instanceof ErrorReply && /^ERR value is not an integer/.test(error.message));
  await assert.rejects(client.hGet("text", "f"), /^Error: WRONGTYPE Operation against a key holding the wrong kind of value$/);
  await assert.rejects(client.set("text", "x", { EX: 0 }), /invalid expire time in 'set' command/);
  await assert.rejects(client.sendCommand(["GET"]), /wrong number of arguments for 'get' command/);
}

async function basic(client, RESP) {
  await connection(client, RESP);
  await client.flushAll();
  await strings(client);
  await expiry(client);
  await hashes(client);
  await pipelines(client);
  await scans(client);
  await errors(client);
}

async function otherTypes(client) {
  assert.equal(await client.rPush("l", ["a", "b", "c"]), 3);
  assert.deepEqual(await client.lRange("l", -2, -1), ["b", "c"]);
  assert.equal(await client.sAdd("s", ["m", "n"]), 2);
  assert.equal((await client.sMembers("s")).length, 2);
  assert.equal(await client.zAdd("z", [{ value: "x", score: 1.5 }, { value: "y", score: 2 }]), 2);
  assert.equal(await client.zScore("z", "x"), 1.5);
  assert.deepEqual(await client.zRangeWithScores("z", 0, -1), [{ value: "x", score: 1.5 }, { value: "y", score: 2 }]);
  const id = await client.xAdd("stream", "*", { f: "v" });
  const entries = await client.xRange("stream", "-", "+");
  assert.deepEqual([entries[0].id, { ...entries[0].message }], [id, { f: "v" }]);
  const members = [];
  for await (const some of client.zScanIterator("z")) members.push(...(Array.isArray(some) ? some : [some]));
  assert.deepEqual(members.map((member) => member.value), ["x", "y"]);
}

async function scripts(client) {
  const echo = "return {KEYS[1], ARGV[1], 3}";
  assert.deepEqual(await client.eval(echo, { keys: ["k"], arguments: ["v"] }), ["k", "v", 3]);
  await client.set("n", "1");
  assert.equal(await client.addTo("n", 2), 3); // by its hash, which is not known yet
  assert.equal(await client.get("n"), "3");
  assert.equal(await client.addTo("n", 2), 5);
  assert.equal(await client.get("n"), "5");
  await assert.rejects(client.eval("return redis.error_reply('MINE not now')"), /MINE not now/);
  await assert.rejects(client.evalSha("0".repeat(40)), /^Error: NOSCRIPT No matching script/);
}

async function transactions(client, RESP) {
  assert.deepEqual(await client.multi().set("n", "1").incr("n").get("n").exec(), ["OK", 2, "2"]);
  assert.equal(await client.get("n"), "2");
  await assert.rejects(client.multi().set("text", "x").incr("text").exec());
  assert.equal(await client.get("text"), "x");
  const other = await connect(RESP);
  await client.watch("n");
  const seen = Number(await client.get("n"));
  await other.incr("n");
  await assert.rejects(client.multi().set("n", String(seen * 10)).exec(), WatchError);
  await client.watch("n");
  const now = Number(await client.get("n"));
  assert.deepEqual(await client.multi().set("n", String(now * 10)).exec(), ["OK"]);
  assert.equal(await other.get("n"), "30");
  await other.close();
}

async function blocking(client, RESP) {
  const waiter = await connect(RESP);
  const taken = waiter.blPop("queue", 20);
  await client.rPush("queue", "element");
  assert.deepEqual({ ...(await taken) }, { key: "queue", element: "element" });
  await waiter.close();
}

async function subscriptions(client, RESP) {
  const subscriber = await connect(RESP);
  const heard = [];
  let enough;
  const all = new Promise((resolve) => (enough = resolve));
  const hear = (message, channel) => heard.push([channel, message]) === 3 && enough();
  await subscriber.subscribe("news", hear);
  await subscriber.pSubscribe("new*", hear);
  assert.equal(await client.publish("news", "one"), 2);
  assert.equal(await client.publish("newer", "two"), 1);
  await all;
  assert.deepEqual(heard.sort(), [["newer", "two"], ["news", "one"], ["news", "one"]]);
  if (RESP === 3) {
    assert.equal(await subscriber.set("while subscribed", "v"), "OK");
    assert.equal(await subscriber.get("while subscribed"), "v");
  }
  await subscriber.unsubscribe("news");
  await subscriber.pUnsubscribe("new*");
  assert.equal(String(await subscriber.ping()), "PONG"); // in RESP2 it is a buffer from now on
  await subscriber.close();
}

async function whatNeedsRedis(client) {
  await assert.rejects(client.lPush("l", "a"), UNKNOWN);
  await assert.rejects(client.eval("return 1"), UNKNOWN);
  await assert.rejects(client.multi().set("k", "v").lPush("l", "a").exec());
  assert.equal(await client.ping(), "PONG");
}

async function main() {
  const embedded = process.argv[3] === "basic";
  for (const RESP of [2, 3]) {
    await within(await connect(RESP), async (client) => {
      await basic(client, RESP);
      await transactions(client, RESP);
      await subscriptions(client, RESP);
      if (embedded) return whatNeedsRedis(client);
      await otherTypes(client);
      await scripts(client);
      await blocking(client, RESP);
    });
  }
}

main().catch((error) => {
  console.log(error);
  process.exit(1);
});
