// minio's client: buckets. Needs a server of its own keys: not for regions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as Minio from 'minio';
import { Bucket, credentials, endpoint } from './kit.mjs';

const at = new URL(endpoint);
const minio = new Minio.Client({ endPoint: at.hostname, port: Number(at.port), useSSL: at.protocol === 'https:',
  accessKey: credentials.accessKeyId, secretKey: credentials.secretAccessKey });

test('a life; the region is asked from the server', async () => {
  const name = `${Bucket}-minio`;
  assert.equal(await minio.bucketExists(name), false);
  await minio.makeBucket(name);
  assert.equal(await minio.bucketExists(name), true);
  assert.ok((await minio.listBuckets()).some((each) => each.name === name && each.creationDate instanceof Date));
  await minio.putObject(name, 'k', 'x');
  await assert.rejects(minio.removeBucket(name), { code: 'BucketNotEmpty' });
  await assert.rejects(minio.makeBucket(name), { code: 'BucketAlreadyOwnedByYou' });
  await minio.removeObject(name, 'k');
  await minio.removeBucket(name);
  assert.equal(await minio.bucketExists(name), false);
});
