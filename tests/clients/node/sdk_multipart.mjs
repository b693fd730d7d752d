// @aws-sdk/lib-storage and multipart uploads by hand.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Bucket, body, bytes, client, key, md5Tag, hash, pieces, prefix, refused, same, until } from './kit.mjs';

const PART = 5 << 20;
const s3 = client();
const send = (Command, input) => s3.send(new aws[`${Command}Command`]({ Bucket, ...input }));
const upload = (Key, Body, more = {}, params = {}) => new Upload({ client: s3, partSize: PART, queueSize: 4,
  params: { Bucket, Key, Body, ...params }, ...more });

async function uploads() {
  const answer = await send('ListMultipartUploads', { Prefix: prefix });
  return (answer.Uploads ?? []).map((each) => each.Key);
}

// The ETag of a whole from its parts, as the service makes it.
function wholeTag(data) {
  const sums = [];
  for (let at = 0; at < data.length; at += PART) sums.push(hash('md5', data.subarray(at, at + PART), 'buffer'));
  return `"${hash('md5', Buffer.concat(sums))}-${sums.length}"`;
}

test('Upload of a buffer in three parts', async () => {
  const data = bytes(2 * PART + 12345), progress = [];
  const one = upload(key('buffer'), data, {}, { ContentType: 'a/b', Metadata: { m: 'v' } });
  one.on('httpUploadProgress', (each) => progress.push(each.loaded));
  const done = await one.done();
  assert.equal(done.ETag, wholeTag(data));
  assert.equal(Math.max(...progress), data.length);
  const answer = await send('GetObject', { Key: key('buffer') });
  assert.deepEqual([answer.ContentType, answer.Metadata], ['a/b', { m: 'v' }]);
  same(await body(answer), data);
  assert.deepEqual(await uploads(), []);
});

test('Upload of a stream of unknown length, large and small', async () => {
  for (const size of [3 * PART + 1, PART, 1000, 0]) {
    const data = bytes(size);
    const done = await upload(key('stream'), Readable.from(pieces(data))).done();
    assert.equal(done.ETag, size > PART ? wholeTag(data) : done.ETag.includes('-') ? wholeTag(data) : md5Tag(data));
    same(await body(await send('GetObject', { Key: key('stream') })), data);
  }
});

for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
  test(`Upload with ${ChecksumAlgorithm} of each part`, async () => {
    const data = bytes(PART + 77);
    await upload(key(ChecksumAlgorithm), data, {}, { ChecksumAlgorithm }).done();
    same(await body(await send('GetObject', { Key: key(ChecksumAlgorithm) })), data);
    const head = await send('HeadObject', { Key: key(ChecksumAlgorithm), ChecksumMode: 'ENABLED' });
    assert.deepEqual([head.ETag, head.ChecksumType],
      [wholeTag(data), ChecksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE']);
    const told = await send('GetObjectAttributes', { Key: key(ChecksumAlgorithm), ObjectAttributes: ['Checksum', 'ObjectParts'] });
    assert.equal(told.Checksum[`Checksum${ChecksumAlgorithm}`], head[`Checksum${ChecksumAlgorithm}`]);
    assert.deepEqual(told.ObjectParts.Parts.map((each) => [each.PartNumber, each.Size]), [[1, PART], [2, 77]]);
    for (const { PartNumber, Size } of told.ObjectParts.Parts) {  // the SDK checks the part's checksum by itself
      const one = await send('GetObject', { Key: key(ChecksumAlgorithm), PartNumber, ChecksumMode: 'ENABLED' });
      assert.equal((await body(one)).length, Size);
    }
  });
}

test('aborted Upload leaves nothing', async () => {
  const one = upload(key('aborted'), Readable.from(pieces(bytes(4 * PART))));
  one.on('httpUploadProgress', () => one.abort());
  await assert.rejects(one.done(), { name: 'AbortError' });
  await until(async () => !(await uploads()).includes(key('aborted')), 'lib-storage has removed its parts');
  await refused(send('GetObject', { Key: key('aborted') }), 'NoSuchKey', 404);
});

test('a source that fails leaves nothing, or what was asked to stay', async () => {
  async function* failing() {
    yield bytes(PART);
    yield bytes(PART);
    throw new Error('the source failed');
  }
  await assert.rejects(upload(key('failed'), Readable.from(failing())).done(), /the source failed/);
  assert.ok(!(await uploads()).includes(key('failed')));
  const kept = upload(key('kept'), Readable.from(failing()), { leavePartsOnError: true, queueSize: 1 });
  await assert.rejects(kept.done(), /the source failed/);
  const left = (await send('ListMultipartUploads', { Prefix: key('kept') })).Uploads ?? [];
  assert.equal(left.length, 1);
  const parts = (await send('ListParts', left[0])).Parts;
  assert.ok(parts.length >= 1 && parts.every((each) => each.Size === PART));
  await send('AbortMultipartUpload', left[0]);
  await refused(send('ListParts', left[0]), 'NoSuchUpload', 404);
  await refused(send('GetObject', { Key: key('kept') }), 'NoSuchKey', 404);
});

test('parts by hand: listed in pages, copied, completed, refused', async () => {
  const Key = key('by hand ü+'), data = bytes(PART);
  await send('PutObject', { Key: key('source'), Body: data });
  const { UploadId } = await send('CreateMultipartUpload', { Key, Metadata: { m: 'v' } });
  const one = await send('UploadPart', { Key, UploadId, PartNumber: 1, Body: data });
  const CopySource = `${Bucket}/${encodeURIComponent(key('source'))}`;
  const two = await send('UploadPartCopy', { Key, UploadId, PartNumber: 2, CopySource });
  const three = await send('UploadPartCopy', { Key, UploadId, PartNumber: 3, CopySource, CopySourceRange: 'bytes=1-1000' });
  const four = await send('UploadPart', { Key, UploadId, PartNumber: 4, Body: Readable.from(pieces(data)), ContentLength: PART });
  const parts = [];
  for await (const page of aws.paginateListParts({ client: s3, pageSize: 1 }, { Bucket, Key, UploadId })) parts.push(...page.Parts ?? []);
  assert.deepEqual(parts.map((each) => [each.PartNumber, each.Size]), [[1, PART], [2, PART], [3, 1000], [4, PART]]);
  const tags = [one.ETag, two.CopyPartResult.ETag, three.CopyPartResult.ETag, four.ETag];
  assert.deepEqual(parts.map((each) => each.ETag), tags);
  const finish = (numbers, more = {}) => send('CompleteMultipartUpload', { Key, UploadId,
    MultipartUpload: { Parts: numbers.map((each) => ({ PartNumber: each, ETag: tags[each - 1] ?? tags[0] })) }, ...more });
  await refused(finish([1, 2, 3, 4]), 'EntityTooSmall', 400);
  await refused(finish([2, 1]), 'InvalidPartOrder', 400);
  await refused(finish([1, 9]), 'InvalidPart', 400);
  await refused(finish([1, 2], { UploadId: 'no-such-upload' }), 'NoSuchUpload', 404);
  await finish([1, 2, 3], { IfNoneMatch: '*' });
  const answer = await send('GetObject', { Key });
  assert.deepEqual(answer.Metadata, { m: 'v' });
  same(await body(answer), Buffer.concat([data, data, data.subarray(1, 1001)]));
});

test('everything goes again', async () => {
  for await (const page of aws.paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: prefix })) {
    for (const { Key } of page.Contents ?? []) await send('DeleteObject', { Key });
  }
  assert.deepEqual(await uploads(), []);
});
