// What the scenarios share: where the server is, clients, bytes, and the outline of a failure.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';

const need = (name) => process.env[name] ?? assert.fail(`${name} is not set`);

export const endpoint = need('DOM_ENDPOINT');
export const credentials = { accessKeyId: need('DOM_ACCESS'), secretAccessKey: need('DOM_SECRET') };
export const Bucket = need('DOM_BUCKET');
export const prefix = need('DOM_PREFIX'); // every key begins with it: a person's part of the bucket, or nothing
const maxAttempts = 1; // no refusal of ours is a matter of load
export const secure = endpoint.startsWith('https:');
export const key = (name) => prefix + name;

export const bytes = (size) => randomBytes(size);
export const hash = (name, data, form = 'hex') => createHash(name).update(data).digest(form);
export const md5Tag = (data) => `"${hash('md5', data)}"`;

// Any name of these tests is this machine, whatever a name server would say.
const here = (host, options, done) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }])
  : done(null, '127.0.0.1', 4));
const agents = () => ({ httpAgent: new http.Agent({ keepAlive: true, lookup: here }),
  httpsAgent: new https.Agent({ keepAlive: true, lookup: here }) });

// `sent` collects the headers of each request as they went out.
export function client(more = {}) {
  const s3 = new S3Client({ endpoint, credentials, region: 'test-1', forcePathStyle: true, maxAttempts,
    requestHandler: { requestTimeout: 60000, throwOnRequestTimeout: true, ...agents() }, ...more });
  s3.sent = [];
  s3.middlewareStack.add((next) => (args) => {
    s3.sent.push({ ...args.request.headers, method: args.request.method, path: args.request.path });
    return next(args);
  }, { step: 'finalizeRequest', priority: 'low', name: 'whatWasSent' });
  return s3;
}

export const lastSent = (s3) => s3.sent.at(-1);

export async function body(answer) {
  return Buffer.from(await answer.Body.transformToByteArray());
}

export function same(got, want) { // without megabytes of hex in a failure
  assert.equal(got.length, want.length);
  assert.equal(hash('sha256', got), hash('sha256', want));
}

// The error's class and status, both as the SDK names them.
export async function refused(promise, name, status) {
  const error = await promise.then(() => assert.fail(`not refused; wanted ${name}`), (e) => e);
  if (error instanceof assert.AssertionError) throw error;
  assert.equal(`${error.name} ${error.$metadata?.httpStatusCode}`, `${name} ${status}`, error.stack);
  return error;
}

// Asks again until it is so: for what a client finishes behind its answer.
export async function until(condition, what) {
  for (const end = Date.now() + 30e3; !(await condition());) {
    assert.ok(Date.now() < end, `not within 30 s: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

// The data in pieces of no round size, for streams.
export async function* pieces(data, size = 100003) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

export const oddNames = ['plain.txt', 'with space', '  two leading', 'trailing ', 'plus+plus', 'percent%20literal', '100%', '%', '%2F', '%zz',
  "'single'", '"double"', '`back`', 'hash#fragment', 'question?mark', 'amp&ersand', 'semi;colon', 'equals=sign', 'comma,comma',
  'colon:colon', 'at@at', 'dollar$sign', 'exclamation!', 'star*', '(round)', '[square]', '{curly}', '<angle>', 'pipe|', 'tilde~',
  'caret^', 'back\\slash', '.hidden', 'a/./b', 'a/../b', '..', 'dot.', 'double//slash', '/leading slash', 'trailing slash/',
  'umläut', 'łódź', 'русский', 'हिन्दी', '中文', '日本語 名前', '한국어', 'עברית', 'emoji 😀', 'combining e\u0301', 'precomposed é',
  'no\u00a0break', '\u{20000} beyond the BMP', 'null', 'undefined', '__proto__', 'constructor', 'x'.repeat(600), 'a=b&c=d?e#f'];
