// A web application that keeps its sessions with connect-redis under express-session, as two processes of it would, each
// before an instance of its own; says nothing unless it is wrong.
//
//     sessions.js PORT PORT [PID]
//
// PID is the first instance's, which is killed in the end.
"use strict";
const assert = require("node:assert/strict");
const http = require("node:http");
const { createClient } = require("redis");
const session = require("express-session");
const { RedisStore } = require("connect-redis");

const LEASE_MS = 250; // for so long one instance may answer as if another one's acknowledged write had not been
const AGE_MS = 100_000;

const ROUTES = {
  "/login": async (request, query) => {
    await new Promise((resolve, reject) => request.session.regenerate((error) => (error ? reject(error) : resolve())));
    request.session.user = query.get("user");
    request.session.seen = 0;
    request.session.cookie.maxAge = Number(query.get("age") ?? AGE_MS);
  },
  "/me": async () => {},
  "/see": async (request) => void ++request.session.seen,
  "/logout": (request) => new Promise((resolve, reject) => request.session.destroy((error) => (error ? reject(error) : resolve()))),
};

class Application {
  static async start(port) {
    const app = new Application();
    app.client = createClient({ url: `redis://127.0.0.1:${port}` });
    app.client.on("error", () => {}); // what fails is seen by its caller
    await app.client.connect();
    app.store = new RedisStore({ client: app.client, prefix: "session:" });
    const sessions = session({
      store: app.store,
      secret: "a secret",
      resave: false,
      saveUninitialized: false,
      rolling: true,
      cookie: { maxAge: AGE_MS },
    });
    app.server = http.createServer((request, response) =>
      sessions(request, response, (error) =>
        app.answer(request, response, error).catch((failed) => response.writeHead(500).end(String(failed))),
      ),
    );
    await new Promise((resolve) => app.server.listen(0, "127.0.0.1", resolve));
    app.url = `http://127.0.0.1:${app.server.address().port}`;
    return app;
  }

  async answer(request, response, error) {
    if (error) throw error;
    const url = new URL(request.url, this.url);
    if (url.pathname !== "/login" && !request.session.user) return response.writeHead(401).end();
    await ROUTES[url.pathname](request, url.searchParams);
    const { user, seen } = request.session ?? {};
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ user, seen }));
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
    if (this.client.isReady) await this.client.close();
    else this.client.destroy();
  }
}

/// One browser: it keeps the cookie that it was given last.
class Browser {
  async ask(app, path) {
    const asked = Date.now();
    const answer = await fetch(app.url + path, { headers: { Cookie: this.cookie ?? "" } });
    const text = await answer.text();
    const given = answer.headers.get("set-cookie");
    if (given) this.cookie = given.split(";")[0];
    assert.ok(answer.status === 200 || answer.status === 401, `${path}: ${answer.status} ${text}`);
    return { asked, status: answer.status, renewed: given !== null, body: text && JSON.parse(text) };
  }

  /// Asks until the answer is as it must be since `since`, which is a lease later at most.
  async see(app, since, holds) {
    for (;;) {
      const answer = await this.ask(app, "/me");
      if (holds(answer)) return;
      assert.ok(answer.asked < since + LEASE_MS, `an old answer: ${JSON.stringify(answer)}`);
    }
  }

  get key() {
    return "session:" + decodeURIComponent(this.cookie).replace(/^connect\.sid=s:/, "").split(".")[0];
  }
}

async function isTheSameEverywhere(one, other) {
  const browser = new Browser();
  assert.equal((await browser.ask(one, "/me")).status, 401);
  await browser.ask(one, "/login?user=ada");
  for (const app of [one, other, one]) assert.deepEqual((await browser.ask(app, "/me")).body, { user: "ada", seen: 0 });
  for (const [writer, reader, seen] of [[other, one, 1], [one, other, 2], [other, one, 3]]) {
    assert.equal((await browser.ask(writer, "/see")).body.seen, seen);
    await browser.see(reader, Date.now(), ({ body }) => body.seen === seen);
  }
}

async function slides(one, other) {
  const browser = new Browser();
  await browser.ask(one, "/login?user=bob");
  for (const app of [one, other]) {
    assert.equal(await app.client.expire(browser.key, 10), 1);
    assert.equal((await browser.ask(app, "/me")).renewed, true); // the cookie
    assert.ok((await app.client.ttl(browser.key)) > AGE_MS / 1000 - 20);
  }
}

async function logsOutEverywhere(one, other) {
  const browser = new Browser();
  await browser.ask(one, "/login?user=eve");
  assert.equal((await browser.ask(other, "/me")).status, 200);
  await browser.ask(one, "/logout");
  const since = Date.now();
  assert.equal((await browser.ask(one, "/me")).status, 401);
  await browser.see(other, since, ({ status }) => status === 401);
  assert.equal(await one.client.exists(browser.key), 0);
}

async function changesItsNameAtLogin(one, other) {
  const browser = new Browser();
  await browser.ask(one, "/login?user=mallory");
  const stolen = Object.assign(new Browser(), { cookie: browser.cookie });
  await browser.ask(one, "/login?user=victim");
  await stolen.see(other, Date.now(), ({ status }) => status === 401);
  assert.equal((await browser.ask(other, "/me")).body.user, "victim");
}

async function ends(one, other) {
  const browser = new Browser();
  await browser.ask(one, "/login?user=tom&age=1000");
  const left = await other.client.pTTL(browser.key);
  assert.ok(left > 0 && left <= 1000, `${left} ms`);
  await new Promise((resolve) => setTimeout(resolve, left + 1));
  for (const app of [one, other]) assert.equal((await browser.ask(app, "/me")).status, 401);
}

async function isListed(one) {
  await new Promise((resolve) => one.store.clear(resolve));
  for (const user of ["x", "y", "z"]) await new Browser().ask(one, `/login?user=${user}`);
  assert.equal(await one.store.length(), 3);
  assert.equal(new Set(await one.store.ids()).size, 3);
  assert.deepEqual((await one.store.all()).map(({ user }) => user).sort(), ["x", "y", "z"]);
  await one.store.clear();
  assert.equal(await one.store.length(), 0);
}

async function outlivesItsInstance(one, other, pid) {
  const browser = new Browser();
  await browser.ask(one, "/login?user=ada");
  assert.equal((await browser.ask(other, "/me")).status, 200);
  assert.equal((await browser.ask(one, "/see")).body.seen, 1);
  process.kill(pid, "SIGKILL");
  await browser.see(other, Date.now(), ({ body }) => body.seen === 1);
  assert.equal((await browser.ask(other, "/see")).body.seen, 2);
  await browser.ask(other, "/logout");
  assert.equal((await browser.ask(other, "/me")).status, 401);
}

async function main() {
  const [first, second, pid] = process.argv.slice(2).map(Number);
  const one = await Application.start(first);
  const other = await Application.start(second);
  await isTheSameEverywhere(one, other);
  await slides(one, other);
  await logsOutEverywhere(one, other);
  await changesItsNameAtLogin(one, other);
  await ends(one, other);
  await isListed(one);
  if (pid) await outlivesItsInstance(one, other, pid);
  await Promise.all([one, other].map((app) => app.stop()));
}

main().catch((error) => {
  console.log(error);
  process.exit(1);
});
