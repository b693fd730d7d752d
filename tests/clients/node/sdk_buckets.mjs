// @aws-sdk/client-s3: buckets, their errors, and names in the Host. Needs a server of its own keys: not for regions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { Bucket, body, bytes, client, endpoint, oddNames, refused } from './kit.mjs';

const s3 = client();
const send = (Command, input = {}, using = s3) => using.send(new aws[`${Command}Command`](input));
const other = { accessKeyId: process.env.DOM_OTHER_ACCESS, secretAccessKey: process.env.DOM_OTHER_SECRET };

test('a life, with waiters', async () => {
  const name = `${Bucket}-life`, waiting = { client: s3, maxWaitTime: 20, minDelay: 1, maxDelay: 1 };
  await refused(send('HeadBucket', { Bucket: name }), 'NotFound', 404);
  const made = await send('CreateBucket', { Bucket: name });
  assert.equal(made.Location, `/${name}`);
  await aws.waitUntilBucketExists(waiting, { Bucket: name });
  const all = (await send('ListBuckets')).Buckets;
  assert.ok(all.find((each) => each.Name === name).CreationDate instanceof Date);
  await send('GetBucketLocation', { Bucket: name });
  await send('PutObject', { Bucket: name, Key: 'k', Body: 'x' });
  await refused(send('DeleteBucket', { Bucket: name }), 'BucketNotEmpty', 409);
  await send('DeleteObject', { Bucket: name, Key: 'k' });
  await send('DeleteBucket', { Bucket: name });
  await aws.waitUntilBucketNotExists(waiting, { Bucket: name });
});

test('errors have their classes', async () => {
  assert.ok(await refused(send('CreateBucket', { Bucket }), 'BucketAlreadyOwnedByYou', 409) instanceof aws.BucketAlreadyOwnedByYou);
  const bob = client({ credentials: other });
  assert.ok(await refused(send('CreateBucket', { Bucket }, bob), 'BucketAlreadyExists', 409) instanceof aws.BucketAlreadyExists);
  await refused(send('ListObjectsV2', { Bucket }, bob), 'AccessDenied', 403);
  await refused(send('HeadBucket', { Bucket }, bob), 'Unknown', 403); // no body, no name
  const none = `${Bucket}-none`;
  assert.ok(await refused(send('ListObjectsV2', { Bucket: none }), 'NoSuchBucket', 404) instanceof aws.NoSuchBucket);
  await refused(send('PutObject', { Bucket: none, Key: 'k', Body: 'x' }), 'NoSuchBucket', 404);
  await refused(send('GetObject', { Bucket: none, Key: 'k' }), 'NoSuchBucket', 404);
  await refused(send('DeleteBucket', { Bucket: none }), 'NoSuchBucket', 404);
  await refused(send('CreateBucket', { Bucket: 'Not-A-Name' }), 'InvalidBucketName', 400);
});

test('two creators at once: both are told the truth', async () => {
  const name = `${Bucket}-race`;
  const both = await Promise.allSettled([1, 2, 3, 4].map(() => send('CreateBucket', { Bucket: name })));
  assert.equal(both.filter((each) => each.status === 'fulfilled').length, 1);
  for (const { reason } of both.filter((each) => each.reason)) assert.equal(reason.name, 'BucketAlreadyOwnedByYou');
  await send('DeleteBucket', { Bucket: name });
});

test('bucket named by the Host', async () => {
  const at = endpoint.replace('127.0.0.1', 's3.example.test');
  const virtual = client({ endpoint: at, forcePathStyle: false });
  const name = `${Bucket}-host`;
  await send('CreateBucket', { Bucket: name }, virtual);
  for (const Key of oddNames) {
    const data = bytes(100);
    await send('PutObject', { Bucket: name, Key, Body: data }, virtual);
    assert.deepEqual(await body(await send('GetObject', { Bucket: name, Key }, virtual)), data, Key);
    assert.deepEqual(await body(await send('GetObject', { Bucket: name, Key })), data, Key); // by path
  }
  const listed = (await send('ListObjectsV2', { Bucket: name }, virtual)).Contents.map(({ Key }) => ({ Key }));
  assert.deepEqual(new Set(listed.map((each) => each.Key)), new Set(oddNames));
  await send('DeleteObjects', { Bucket: name, Delete: { Objects: listed } }, virtual);
  await send('DeleteBucket', { Bucket: name }, virtual);
});
