// @aws-sdk/s3-request-presigner: URLs that any program may use, here fetch() of Node.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Bucket, body, bytes, client, key, md5Tag, same } from './kit.mjs';

const s3 = client();
const send = (Command, input) => s3.send(new aws[`${Command}Command`]({ Bucket, ...input }));
const sign = (Command, input, more = {}) => getSignedUrl(s3, new aws[`${Command}Command`]({ Bucket, ...input }),
  { expiresIn: 300, ...more });

async function code(answer, status) {
  assert.equal(answer.status, status);
  return /<Code>(\w+)<\/Code>/.exec(await answer.text())?.[1];
}

test('GET, HEAD, DELETE; odd key; answer headers of the signer', async () => {
  const data = bytes(123456), Key = key('pre signed/ü +%20&?#');
  await send('PutObject', { Key, Body: data });
  const answer = await fetch(await sign('GetObject', { Key, ResponseContentType: 'text/plain; charset=utf-8',
    ResponseContentDisposition: 'attachment; filename="a b"' }));
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(answer.headers.get('content-disposition'), 'attachment; filename="a b"');
  same(Buffer.from(await answer.arrayBuffer()), data);
  const part = await fetch(await sign('GetObject', { Key }), { headers: { range: 'bytes=10-19' } });
  assert.equal(part.status, 206);
  same(Buffer.from(await part.arrayBuffer()), data.subarray(10, 20));
  const head = await fetch(await sign('HeadObject', { Key }), { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('etag')], [200, md5Tag(data)]);
  assert.equal((await fetch(await sign('DeleteObject', { Key }), { method: 'DELETE' })).status, 204);
  assert.equal(await code(await fetch(await sign('GetObject', { Key })), 404), 'NoSuchKey');
});

for (const size of [0, 5, 300000]) {
  test(`PUT of ${size} bytes that the signer did not know`, async () => {
    const data = bytes(size), Key = key('put by url');
    const url = await sign('PutObject', { Key, ContentType: 'image/png', Metadata: { m: 'v' } });
    const answer = await fetch(url, { method: 'PUT', body: data, headers: { 'content-type': 'image/png' } });
    assert.equal(answer.status, 200, await answer.text());
    assert.equal(answer.headers.get('etag'), md5Tag(data));
    const got = await send('GetObject', { Key });
    assert.equal(got.ContentType, 'image/png');
    assert.deepEqual(got.Metadata, { m: 'v' });
    same(await body(got), data);
  });
}

test('PUT with a checksum that the signer knew', async () => {
  const data = Buffer.from('the very body'), Key = key('put with sum');
  const { ChecksumSHA256 } = await send('PutObject', { Key: key('sum'), Body: data, ChecksumAlgorithm: 'SHA256' });
  const url = await sign('PutObject', { Key, ChecksumSHA256 }, { unhoistableHeaders: new Set(['x-amz-checksum-sha256']) });
  const headers = { 'x-amz-checksum-sha256': ChecksumSHA256 };
  assert.equal(await code(await fetch(url, { method: 'PUT', body: 'another body!', headers }), 400), 'BadDigest');
  assert.equal(await code(await fetch(url, { method: 'PUT', body: data }), 403), 'SignatureDoesNotMatch');
  assert.equal((await fetch(url, { method: 'PUT', body: data, headers })).status, 200);
  assert.equal((await send('HeadObject', { Key, ChecksumMode: 'ENABLED' })).ChecksumSHA256, ChecksumSHA256);
});

test('parts by URL', async () => {
  const Key = key('parts by url'), data = bytes(6 << 20);
  const { UploadId } = await send('CreateMultipartUpload', { Key });
  const Parts = [];
  for (const [i, piece] of [data.subarray(0, 5 << 20), data.subarray(5 << 20)].entries()) {
    const url = await sign('UploadPart', { Key, UploadId, PartNumber: i + 1 });
    const answer = await fetch(url, { method: 'PUT', body: piece });
    assert.equal(answer.status, 200, await answer.text());
    Parts.push({ PartNumber: i + 1, ETag: answer.headers.get('etag') });
  }
  await send('CompleteMultipartUpload', { Key, UploadId, MultipartUpload: { Parts } });
  same(await body(await send('GetObject', { Key })), data);
});

test('out of time, changed, for another method', async () => {
  const Key = key('held');
  await send('PutObject', { Key, Body: 'x' });
  const past = await sign('GetObject', { Key }, { expiresIn: 60, signingDate: new Date(Date.now() - 120e3) });
  assert.equal(await code(await fetch(past), 403), 'AccessDenied');
  const url = await sign('GetObject', { Key });
  assert.equal(await code(await fetch(url.replace('held', 'sum')), 403), 'SignatureDoesNotMatch');
  assert.equal(await code(await fetch(url, { method: 'DELETE' }), 403), 'SignatureDoesNotMatch');
  assert.equal((await send('HeadObject', { Key })).ContentLength, 1);
});

// ---- @aws-sdk/s3-presigned-post: forms as a page sends them, by FormData and fetch() of Node.

async function post(options, data, name = 'a page.bin', more = {}) {
  const { url, fields } = await createPresignedPost(s3, { Bucket, Expires: 300, ...options });
  const form = new FormData();
  for (const [field, value] of Object.entries({ ...fields, ...more })) form.append(field, value);
  form.append('file', new Blob([data], { type: 'image/png' }), name);
  return fetch(url, { method: 'POST', body: form, redirect: 'manual' });
}

for (const size of [0, 5, 3000000]) {
  test(`a form with a file of ${size} bytes`, async () => {
    const data = bytes(size), Key = `${key('form/')}/\${filename}`;
    const answer = await post({ Key, Fields: { 'Content-Type': 'image/png', 'x-amz-meta-m': 'v', success_action_status: '201' },
      Conditions: [['starts-with', '$Content-Type', 'image/'], ['content-length-range', size, size]] }, data);
    const text = await answer.text();
    assert.equal(answer.status, 201, text);
    const stored = /<Key>(.*)<\/Key>/.exec(text)[1];
    assert.equal(stored, Key.replace('${filename}', 'a page.bin'));
    const got = await send('GetObject', { Key: stored });
    assert.deepEqual([got.ContentType, got.Metadata, got.ETag], ['image/png', { m: 'v' }, answer.headers.get('etag')]);
    same(await body(got), data);
  });
}

test('a form that its policy does not allow', async () => {
  const Key = key('form no');
  assert.equal(await code(await post({ Key, Conditions: [['content-length-range', 0, 4]] }, bytes(5)), 400), 'EntityTooLarge');
  assert.equal(await code(await post({ Key }, bytes(5), 'a', { 'x-amz-meta-late': 'x' }), 403), 'AccessDenied');
  const { url, fields } = await createPresignedPost(s3, { Bucket, Key, Expires: 300 });
  const form = new FormData();
  for (const [field, value] of Object.entries({ ...fields, key: `${Key}-other` })) form.append(field, value);
  form.append('file', new Blob(['x']));
  assert.equal(await code(await fetch(url, { method: 'POST', body: form }), 403), 'AccessDenied');
});
