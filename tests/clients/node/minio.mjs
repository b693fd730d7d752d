// minio's client for Node: signs each payload, sends multipart by itself, lists with its own XML reader.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as Minio from 'minio';
import { Bucket, bytes, credentials, endpoint, hash, key, oddNames, pieces, prefix, same } from './kit.mjs';

const at = new URL(endpoint);
const where = { endPoint: at.hostname, port: Number(at.port), useSSL: at.protocol === 'https:', region: 'test-1', pathStyle: true };
const minio = new Minio.Client({ ...where, accessKey: credentials.accessKeyId, secretKey: credentials.secretAccessKey });

async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
const read = async (name) => Buffer.concat(await all(await minio.getObject(Bucket, name)));
const names = async (from, recursive = true) => (await all(minio.listObjectsV2(Bucket, from, recursive)))
  .map((each) => each.name ?? each.prefix);

async function refused(promise, code) {
  const error = await promise.then(() => assert.fail(`not refused; wanted ${code}`), (e) => e);
  assert.equal(error.code, code, error.stack);
}

for (const size of [0, 1, 100000, 6 << 20]) {
  test(`putObject of a buffer of ${size} bytes`, async () => {
    const data = bytes(size);
    const done = await minio.putObject(Bucket, key('buffer'), data, size, { 'Content-Type': 'a/b', 'X-Amz-Meta-M': 'v' });
    assert.equal(done.etag, hash('md5', data));
    const stat = await minio.statObject(Bucket, key('buffer'));
    assert.deepEqual([stat.size, stat.etag, stat.metaData.m, stat.metaData['content-type']], [size, done.etag, 'v', 'a/b']);
    same(await read(key('buffer')), data);
  });
}

test('putObject of streams: known length, unknown length, multipart', async () => {
  for (const [size, told] of [[300000, true], [300000, false], [70 << 20, true]]) {
    const data = bytes(size);
    await minio.putObject(Bucket, key('stream'), Readable.from(pieces(data)), told ? size : undefined);
    same(await read(key('stream')), data);
    const { etag } = await minio.statObject(Bucket, key('stream'));
    assert.equal(etag.includes('-'), size > (64 << 20) || !told, etag);
  }
});

test('fPutObject and fGetObject, multipart', async () => {
  const data = bytes((65 << 20) + 1);
  writeFileSync('up.bin', data);
  await minio.fPutObject(Bucket, key('file'), 'up.bin', { 'X-Amz-Meta-Name': 'of a file' });
  const stat = await minio.statObject(Bucket, key('file'));
  assert.match(stat.etag, /-\d+$/);
  assert.equal(stat.metaData.name, 'of a file');
  await minio.fGetObject(Bucket, key('file'), 'down.bin');
  same(readFileSync('down.bin'), data);
  const part = Buffer.concat(await all(await minio.getPartialObject(Bucket, key('file'), 1000, 5000)));
  same(part, data.subarray(1000, 6000));
});

test('an upload that ended early is found, and removed', async () => {
  const id = await minio.initiateNewMultipartUpload(Bucket, key('incomplete'), {});
  assert.equal(await minio.findUploadId(Bucket, key('incomplete')), id);
  const left = await all(minio.listIncompleteUploads(Bucket, key('incomplete'), true));
  assert.deepEqual(left.map((each) => [each.key, each.uploadId]), [[key('incomplete'), id]]);
  await minio.removeIncompleteUpload(Bucket, key('incomplete'));
  assert.deepEqual(await all(minio.listIncompleteUploads(Bucket, key('incomplete'), true)), []);
});

test('odd names: put, list, get, copy, remove', async () => {
  const usable = oddNames.filter((name) => !/(^|\/)\.\.?(\/|$)/.test(name)); // minio refuses `.` and `..` by itself
  const want = usable.map((name) => key(`odd/${name}`));
  for (const name of want) await minio.putObject(Bucket, name, name);
  const sorted = [...want].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(await names(key('odd/')), sorted);
  assert.deepEqual((await all(minio.listObjects(Bucket, key('odd/'), true))).map((each) => each.name), sorted);
  for (const name of want) {
    assert.equal((await read(name)).toString(), name);
    const source = new Minio.CopySourceOptions({ Bucket, Object: name });
    const target = new Minio.CopyDestinationOptions({ Bucket, Object: key('a copy'), MetadataDirective: 'COPY' });
    await minio.copyObject(source, target);
    assert.equal((await read(key('a copy'))).toString(), name);
  }
  await minio.removeObjects(Bucket, want);
  assert.deepEqual(await names(key('odd/')), []);
});

test('folders of a listing, more than a page', async () => {
  const want = [...Array(1005).keys()].map((i) => key(`list/${i % 2}/${String(i).padStart(4, '0')}`)).sort();
  for (let i = 0; i < want.length; i += 50) await Promise.all(want.slice(i, i + 50).map((name) => minio.putObject(Bucket, name, '')));
  assert.deepEqual(await names(key('list/')), want);
  assert.deepEqual((await all(minio.listObjectsV2(Bucket, key('list/'), false))).map((each) => each.prefix),
    [key('list/0/'), key('list/1/')]);
  assert.deepEqual(await all(minio.listObjectsV2(Bucket, key('list/'), true, want[1000])).then((rest) => rest.map((e) => e.name)),
    want.slice(1001));
  await minio.removeObjects(Bucket, want);
  assert.deepEqual(await names(key('list/')), []);
});

test('copy with other metadata, conditions', async () => {
  await minio.putObject(Bucket, key('from'), 'body', 4, { 'X-Amz-Meta-M': '1' });
  await minio.copyObject(new Minio.CopySourceOptions({ Bucket, Object: key('from') }), new Minio.CopyDestinationOptions(
    { Bucket, Object: key('from'), MetadataDirective: 'REPLACE', UserMetadata: { N: '2' } }));
  const stat = await minio.statObject(Bucket, key('from'));
  assert.deepEqual([stat.metaData.n, stat.metaData.m], ['2', undefined]);
  const changed = new Minio.CopySourceOptions({ Bucket, Object: key('from'), MatchETag: 'other' });
  await refused(minio.copyObject(changed, new Minio.CopyDestinationOptions({ Bucket, Object: key('to') })), 'PreconditionFailed');
  await refused(minio.statObject(Bucket, key('to')), 'NotFound');
});

test('composeObject copies parts', async () => {
  const one = bytes(6 << 20), two = bytes(100);
  await minio.putObject(Bucket, key('one'), one);
  await minio.putObject(Bucket, key('two'), two);
  await minio.composeObject(new Minio.CopyDestinationOptions({ Bucket, Object: key('composed') }),
    ['one', 'two'].map((name) => new Minio.CopySourceOptions({ Bucket, Object: key(name) })));
  same(await read(key('composed')), Buffer.concat([one, two]));
});

test('presigned: GET, PUT', async () => {
  const data = bytes(50000), name = key('by url ü+');
  const put = await fetch(await minio.presignedPutObject(Bucket, name, 60), { method: 'PUT', body: data });
  assert.equal(put.status, 200, await put.text());
  const got = await fetch(await minio.presignedGetObject(Bucket, name, 60, { 'response-content-type': 'x/y' }));
  assert.equal(got.headers.get('content-type'), 'x/y');
  same(Buffer.from(await got.arrayBuffer()), data);
});

test('errors have their codes', async () => {
  await refused(minio.getObject(Bucket, key('missing')), 'NoSuchKey');
  await refused(minio.statObject(Bucket, key('missing')), 'NotFound');
  await refused(minio.putObject('no-such-bucket-here', 'k', 'x'), 'NoSuchBucket');
  const wrong = new Minio.Client({ ...where, accessKey: credentials.accessKeyId, secretKey: 'wrong' });
  await refused(wrong.putObject(Bucket, key('k'), 'x'), 'SignatureDoesNotMatch');
});

test('everything goes again', async () => {
  await minio.removeObjects(Bucket, await names(prefix));
  assert.deepEqual(await names(prefix), []);
});
