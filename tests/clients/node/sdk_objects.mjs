// @aws-sdk/client-s3: objects, with the defaults that an application of today has.
import assert from 'node:assert/strict';
import { createReadStream, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { Bucket, body, bytes, client, endpoint, hash, key, lastSent, md5Tag, oddNames, pieces, prefix, refused, same,
  secure } from './kit.mjs';

const s3 = client();
const send = (Command, input, using = s3) => using.send(new aws[`${Command}Command`]({ Bucket, ...input }));
const put = (Key, Body, more = {}) => send('PutObject', { Key, Body, ...more });
const get = (Key, more = {}) => send('GetObject', { Key, ...more });

async function absent(Key) {
  await refused(get(Key), 'NoSuchKey', 404);
}

async function listed(Prefix) {
  const found = [];
  for await (const page of aws.paginateListObjectsV2({ client: s3 }, { Bucket, Prefix })) found.push(...page.Contents ?? []);
  return found;
}

for (const size of [0, 1, 65536, 1048577, 9 << 20]) {
  test(`buffer of ${size} bytes, checksum by default, validated when read`, async () => {
    const data = bytes(size);
    const done = await put(key('buffer'), data);
    assert.equal(done.ETag, md5Tag(data));
    assert.equal(lastSent(s3)['x-amz-sdk-checksum-algorithm'], 'CRC32');
    assert.match(done.ChecksumCRC32, /^[A-Za-z0-9+/]{6}==$/);
    assert.equal(done.ChecksumCRC32, lastSent(s3)['x-amz-checksum-crc32'] ?? done.ChecksumCRC32);
    const answer = await get(key('buffer'));
    assert.equal(lastSent(s3)['x-amz-checksum-mode'], 'ENABLED');
    assert.equal(answer.ChecksumCRC32, done.ChecksumCRC32);
    assert.equal(answer.ContentLength, size);
    same(await body(answer), data);
  });
}

for (const size of [0, 1, 65536, 5 << 20]) {
  test(`stream of ${size} bytes and known length goes with a trailer`, async () => {
    const data = bytes(size);
    const done = await put(key('stream'), Readable.from(pieces(data)), { ContentLength: size });
    assert.equal(lastSent(s3)['x-amz-content-sha256'], 'STREAMING-UNSIGNED-PAYLOAD-TRAILER');
    assert.equal(lastSent(s3)['x-amz-trailer'], 'x-amz-checksum-crc32');
    assert.equal(done.ETag, md5Tag(data));
    const answer = await get(key('stream'));
    assert.equal(answer.ChecksumCRC32, done.ChecksumCRC32);
    assert.equal(answer.ContentEncoding, undefined); // aws-chunked is a matter of the transfer
    same(await body(answer), data);
  });
}

test('file stream, content encoding of its own kept', async () => {
  const data = bytes(300000);
  writeFileSync('file.bin', data);
  await put(key('file'), createReadStream('file.bin'), { ContentEncoding: 'gzip', ContentType: 'a/b' });
  const answer = await get(key('file'));
  assert.equal(answer.ContentEncoding, 'gzip');
  assert.equal(answer.ContentType, 'a/b');
  same(await body(answer), data);
});

test('stream of unknown length is refused and stores nothing', async () => {
  const unknown = () => Readable.from(pieces(bytes(200000)));
  await assert.rejects(put(key('unknown length'), unknown()), { code: 'ERR_HTTP_INVALID_HEADER_VALUE' }); // by the SDK
  const plain = client({ requestChecksumCalculation: 'WHEN_REQUIRED' });
  const sent = send('PutObject', { Key: key('unknown length'), Body: unknown() }, plain);
  await refused(sent, 'MissingContentLength', 411); // as by the service itself; lib-storage is for this
  await absent(key('unknown length'));
});

test('stream that ends early stores nothing', async () => {
  await put(key('early'), bytes(10));
  await assert.rejects(put(key('early'), Readable.from(pieces(bytes(1000))), { ContentLength: 2000 }));
  assert.equal((await get(key('early'))).ContentLength, 10);
});

for (const name of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
  test(`checksum ${name}: buffer, stream, read, head, wrong`, async () => {
    const data = bytes(150000), field = `Checksum${name}`, known = { SHA1: 'sha1', SHA256: 'sha256' }[name];
    for (const [way, Body] of [['buffer', data], ['stream', Readable.from(pieces(data))]]) {
      const Key = key(`checksum-${name}-${way}`);
      const done = await put(Key, Body, { ChecksumAlgorithm: name, ContentLength: data.length });
      assert.ok(done[field]);
      if (known) assert.equal(done[field], hash(known, data, 'base64'));
      const answer = await get(Key);
      assert.equal(answer[field], done[field]);
      same(await body(answer), data);
      assert.equal((await send('HeadObject', { Key, ChecksumMode: 'ENABLED' }))[field], done[field]);
    }
    const other = await put(key('other'), bytes(150000), { ChecksumAlgorithm: name });
    await refused(put(key('wrong sum'), data, { [field]: other[field] }), 'BadDigest', 400);
    await absent(key('wrong sum'));
  });
}

test('no checksum, when the application asks for none', async () => {
  const plain = client({ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' });
  const data = bytes(70000);
  await send('PutObject', { Key: key('plain'), Body: data }, plain);
  assert.equal(lastSent(plain)['x-amz-sdk-checksum-algorithm'], undefined);
  same(await body(await send('GetObject', { Key: key('plain') }, plain)), data);
});

test('a byte changed on the way is noticed by the reader', async () => {
  await put(key('validated'), bytes(50000));
  const proxy = http.createServer((ask, reply) => {
    const onward = (secure ? https : http).request(endpoint + ask.url, { method: ask.method, headers: ask.headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const whole = Buffer.concat(parts);
        whole[whole.length - 1] ^= 1;
        reply.writeHead(answer.statusCode, answer.headers).end(whole);
      });
    });
    ask.pipe(onward);
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  const through = client({ endpoint: `http://127.0.0.1:${proxy.address().port}` });
  await assert.rejects(async () => body(await send('GetObject', { Key: key('validated') }, through)), /[Cc]hecksum/);
  through.destroy();
  proxy.closeAllConnections();
  proxy.close();
});

test('ranges', async () => {
  const data = bytes(100000);
  await put(key('range'), data);
  for (const [Range, first, end] of [['bytes=0-0', 0, 1], ['bytes=500-70000', 500, 70001], ['bytes=99999-', 99999, 100000],
    ['bytes=-7', 99993, 100000]]) {
    const answer = await get(key('range'), { Range });
    assert.equal(answer.$metadata.httpStatusCode, 206);
    assert.equal(answer.ContentRange, `bytes ${first}-${end - 1}/100000`);
    same(await body(answer), data.subarray(first, end));
  }
  await refused(get(key('range'), { Range: 'bytes=100000-' }), 'InvalidRange', 416);
});

test('conditions of reads', async () => {
  const { ETag } = await put(key('condition'), bytes(5));
  const before = new Date(Date.now() - 3600e3), after = new Date(Date.now() + 3600e3);
  await get(key('condition'), { IfMatch: ETag, IfUnmodifiedSince: after });
  await get(key('condition'), { IfNoneMatch: '"other"' });
  await get(key('condition'), { IfModifiedSince: before });
  for (const more of [{ IfNoneMatch: ETag }, { IfModifiedSince: after }]) {
    const error = await get(key('condition'), more).then(() => assert.fail('read'), (e) => e);
    assert.equal(error.$metadata.httpStatusCode, 304);
  }
  await refused(get(key('condition'), { IfMatch: '"other"' }), 'PreconditionFailed', 412);
  await refused(get(key('condition'), { IfUnmodifiedSince: before }), 'PreconditionFailed', 412);
});

test('conditions of writes', async () => {
  const Key = key('created once');
  const first = await put(Key, '1', { IfNoneMatch: '*' });
  await refused(put(Key, '2', { IfNoneMatch: '*' }), 'PreconditionFailed', 412);
  await refused(put(Key, '3', { IfMatch: '"other"' }), 'PreconditionFailed', 412);
  await refused(put(key('never there'), '4', { IfMatch: first.ETag }), 'NoSuchKey', 404);
  assert.equal((await body(await get(Key))).toString(), '1');
  await put(Key, '5', { IfMatch: first.ETag });
  assert.equal((await body(await get(Key))).toString(), '5');
  const many = await Promise.allSettled([...Array(12).keys()].map((i) => put(key('race'), `${i}`, { IfNoneMatch: '*' })));
  const won = many.flatMap((each, i) => (each.status === 'fulfilled' ? [`${i}`] : []));
  assert.equal(won.length, 1);
  assert.deepEqual(many.filter((e) => e.reason).map((e) => e.reason.name), Array(11).fill('PreconditionFailed'));
  assert.equal((await body(await get(key('race')))).toString(), won[0]);
});

test('metadata and headers come back', async () => {
  const Expires = new Date(Date.UTC(2031, 1, 3, 4, 5, 6));
  const heads = { ContentType: 'text/x-odd; charset=utf-8', CacheControl: 'max-age=5', ContentLanguage: 'hi',
    ContentDisposition: 'attachment; filename="a b.txt"', Metadata: { name: 'value  with blanks', dashed: 'a=b&c' } };
  await put(key('meta'), 'x', { ...heads, Expires });
  const answer = await send('HeadObject', { Key: key('meta') });
  for (const [name, value] of Object.entries(heads)) assert.deepEqual(answer[name], value, name);
  assert.equal(new Date(answer.ExpiresString ?? answer.Expires).getTime(), Expires.getTime());
  assert.ok(Math.abs(answer.LastModified - Date.now()) < 3600e3);
  const over = await get(key('meta'), { ResponseContentType: 'text/plain', ResponseCacheControl: 'no-store' });
  assert.deepEqual([over.ContentType, over.CacheControl], ['text/plain', 'no-store']);
  await over.Body.transformToString();
});

test('odd keys: put, get, list, copy, delete', async () => {
  const at = 'odd/';
  const want = new Map(oddNames.map((name) => [key(at + name), Buffer.from(`body of ${name}`)]));
  for (const [Key, data] of want) await put(Key, data);
  const found = await listed(key(at));
  const sorted = [...want.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(found.map((each) => each.Key), sorted);
  for (const [Key, data] of want) {
    assert.deepEqual(await body(await get(Key)), data, Key);
    const CopySource = `${Bucket}/${encodeURIComponent(Key)}`;
    await send('CopyObject', { Key: `${key('copied/')}${Key.slice(prefix.length)}`, CopySource });
  }
  const copies = await listed(key('copied/'));
  assert.deepEqual(copies.map((each) => each.Key.slice(key('copied/').length)), sorted.map((each) => each.slice(prefix.length)));
  const Objects = [...found, ...copies].map(({ Key }) => ({ Key }));
  const gone = await send('DeleteObjects', { Delete: { Objects } });
  assert.equal(gone.Errors, undefined);
  assert.deepEqual(gone.Deleted.map((each) => each.Key), Objects.map((each) => each.Key));
  assert.deepEqual(await listed(key(at)), []);
  assert.deepEqual(await listed(key('copied/')), []);
});

test('listings in pages, V2 and V1', async () => {
  const names = [...Array(53).keys()].map((i) => key(`list/${'abc'[i % 3]}/${String(i).padStart(3, '0')} +`)).sort();
  await Promise.all(names.map((Key) => put(Key, '')));
  const config = { client: s3, pageSize: 7 };
  const found = [], counts = [];
  for await (const page of aws.paginateListObjectsV2(config, { Bucket, Prefix: key('list/') })) {
    found.push(...page.Contents.map((each) => each.Key));
    counts.push(page.KeyCount);
  }
  assert.deepEqual(found, names);
  assert.deepEqual(counts, [7, 7, 7, 7, 7, 7, 7, 4]);
  const folders = await send('ListObjectsV2', { Prefix: key('list/'), Delimiter: '/' });
  assert.deepEqual(folders.CommonPrefixes.map((each) => each.Prefix), ['a', 'b', 'c'].map((each) => key(`list/${each}/`)));
  assert.equal(folders.Contents, undefined);
  const after = await send('ListObjectsV2', { Prefix: key('list/'), StartAfter: names[40], FetchOwner: true });
  assert.deepEqual(after.Contents.map((each) => each.Key), names.slice(41));
  assert.ok(after.Contents[0].Owner.ID);
  const encoded = await send('ListObjectsV2', { Prefix: key('list/a/'), EncodingType: 'url', MaxKeys: 1 });
  assert.equal(decodeURIComponent(encoded.Contents[0].Key.replaceAll('+', ' ')), names[0]);
  const old = [];
  let Marker;
  do {
    const page = await send('ListObjects', { Prefix: key('list/'), MaxKeys: 10, Marker });
    old.push(...page.Contents.map((each) => each.Key));
    Marker = page.IsTruncated ? page.Contents.at(-1).Key : undefined;
  } while (Marker);
  assert.deepEqual(old, names);
});

test('DeleteObjects: quiet, absent keys, checksum of the list', async () => {
  await Promise.all(['a', 'b'].map((name) => put(key(`many/${name}`), name)));
  const Objects = ['a', 'b', 'absent'].map((name) => ({ Key: key(`many/${name}`) }));
  const quiet = await send('DeleteObjects', { Delete: { Objects, Quiet: true } });
  assert.equal(lastSent(s3)['x-amz-sdk-checksum-algorithm'], 'CRC32');
  assert.deepEqual([quiet.Deleted, quiet.Errors], [undefined, undefined]);
  await absent(key('many/a'));
  await send('DeleteObject', { Key: key('many/absent') });
});

test('copies: metadata kept and replaced, onto itself, conditions', async () => {
  const data = bytes(200000), CopySource = `${Bucket}/${encodeURIComponent(key('source +ü'))}`;
  const { ETag } = await put(key('source +ü'), data, { Metadata: { m: '1' }, ContentType: 'a/b' });
  const done = await send('CopyObject', { Key: key('copy'), CopySource });
  assert.equal(done.CopyObjectResult.ETag, ETag);
  const kept = await get(key('copy'));
  assert.deepEqual([kept.Metadata, kept.ContentType], [{ m: '1' }, 'a/b']);
  same(await body(kept), data);
  await send('CopyObject', { Key: key('copy'), CopySource, MetadataDirective: 'REPLACE', Metadata: { n: '2' } });
  assert.deepEqual((await send('HeadObject', { Key: key('copy') })).Metadata, { n: '2' });
  await refused(send('CopyObject', { Key: key('source +ü'), CopySource }), 'InvalidRequest', 400);
  await send('CopyObject', { Key: key('source +ü'), CopySource, MetadataDirective: 'REPLACE', Metadata: { m: '3' } });
  const itself = await get(key('source +ü'));
  assert.deepEqual(itself.Metadata, { m: '3' });
  same(await body(itself), data);
  await refused(send('CopyObject', { Key: key('copy'), CopySource, CopySourceIfMatch: '"x"' }), 'PreconditionFailed', 412);
  await refused(send('CopyObject', { Key: key('copy'), CopySource: `${Bucket}/${key('nothing')}` }), 'NoSuchKey', 404);
});

test('errors have their classes', async () => {
  const missing = await refused(get(key('missing')), 'NoSuchKey', 404);
  assert.ok(missing instanceof aws.NoSuchKey);
  assert.ok(missing.message && missing.$metadata.requestId);
  assert.ok(await refused(send('HeadObject', { Key: key('missing') }), 'NotFound', 404) instanceof aws.NotFound);
  const wrong = client({ credentials: { accessKeyId: process.env.DOM_ACCESS, secretAccessKey: 'wrong' } });
  await refused(send('PutObject', { Key: key('wrong key'), Body: 'x' }, wrong), 'SignatureDoesNotMatch', 403);
  const nobody = client({ credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'wrong' } });
  await refused(send('GetObject', { Key: key('buffer') }, nobody), 'InvalidAccessKeyId', 403);
  await refused(put(key('x'.repeat(1025)), ''), 'KeyTooLongError', 400);
  await absent(key('wrong key'));
});

test('waiters', async () => {
  const waiting = { client: s3, maxWaitTime: 20, minDelay: 1, maxDelay: 1 };
  await put(key('awaited'), 'x');
  await aws.waitUntilObjectExists(waiting, { Bucket, Key: key('awaited') });
  await send('DeleteObject', { Key: key('awaited') });
  await aws.waitUntilObjectNotExists(waiting, { Bucket, Key: key('awaited') });
});

test('everything goes again, page by page', async () => {
  for await (const page of aws.paginateListObjectsV2({ client: s3, pageSize: 20 }, { Bucket, Prefix: prefix })) {
    const Objects = (page.Contents ?? []).map(({ Key }) => ({ Key }));
    if (Objects.length) assert.equal((await send('DeleteObjects', { Delete: { Objects } })).Errors, undefined);
  }
  assert.deepEqual(await listed(prefix), []);
});
