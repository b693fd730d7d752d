// Keys that the client brings along (SSE-C), of whole objects and of uploads in parts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Bucket, body, bytes, client, hash, key, refused, same } from './kit.mjs';

const PART = 5 << 20;
const s3 = client();
const send = (Command, input) => s3.send(new aws[`${Command}Command`]({ Bucket, ...input }));
const by = (secret) => ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: secret.toString('base64'),
  SSECustomerKeyMD5: hash('md5', secret, 'base64') });
const mine = by(bytes(32)), other = by(bytes(32));

test('an object put, read, refused', async () => {
  const data = bytes(100001), Key = key('sealed');
  const put = await send('PutObject', { Key, Body: data, ...mine });
  assert.equal(put.SSECustomerKeyMD5, mine.SSECustomerKeyMD5);
  const got = await send('GetObject', { Key, ...mine });
  same(await body(got), data);
  assert.equal(got.SSECustomerAlgorithm, 'AES256');
  await refused(send('GetObject', { Key }), 'InvalidRequest', 400);
  await refused(send('GetObject', { Key, ...other }), 'AccessDenied', 403);
});

for (const ChecksumAlgorithm of ['CRC32', 'CRC64NVME']) {
  test(`Upload of three parts, ${ChecksumAlgorithm}`, async () => {
    const data = bytes(2 * PART + 12345), Key = key(`parts-${ChecksumAlgorithm}`);
    await new Upload({ client: s3, partSize: PART, params: { Bucket, Key, Body: data, ChecksumAlgorithm, ...mine } }).done();
    same(await body(await send('GetObject', { Key, ...mine })), data);
    const told = await send('GetObjectAttributes', { Key, ObjectAttributes: ['ObjectParts', 'Checksum'], ...mine });
    assert.equal(told.ObjectParts.TotalPartsCount, 3);
    assert.ok(told.Checksum[`Checksum${ChecksumAlgorithm}`]);
    assert.equal(told.Checksum.ChecksumType, ChecksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
  });
}
