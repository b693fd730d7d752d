// @aws-sdk/client-s3: tags of objects, and buckets whose versions are locked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as aws from '@aws-sdk/client-s3';
import { Bucket, body, client, key, refused } from './kit.mjs';

const s3 = client();
const send = (Command, input) => s3.send(new aws[`${Command}Command`]({ Bucket, ...input }));
const day = 86400000;
const ahead = (ms) => new Date(Math.floor((Date.now() + ms) / 1000) * 1000);

test('tags of an object', async () => {
  const Key = key('tagged');
  const TagSet = [{ Key: 'a', Value: '1' }, { Key: 'ü', Value: 'x y+z=' }];
  await send('PutObject', { Key, Body: 'x', Tagging: new URLSearchParams({ 'of the': 'head + more' }).toString() });
  assert.deepEqual((await send('GetObjectTagging', { Key })).TagSet, [{ Key: 'of the', Value: 'head + more' }]);
  await send('PutObjectTagging', { Key, Tagging: { TagSet } });
  assert.deepEqual((await send('GetObjectTagging', { Key })).TagSet, TagSet);
  assert.equal((await send('GetObject', { Key })).TagCount, 2);
  await send('CopyObject', { Key: key('copy'), CopySource: `${Bucket}/${encodeURIComponent(Key)}` });
  assert.deepEqual((await send('GetObjectTagging', { Key: key('copy') })).TagSet, TagSet);
  await send('DeleteObjectTagging', { Key });
  assert.deepEqual((await send('GetObjectTagging', { Key })).TagSet ?? [], []);
  await refused(send('PutObjectTagging', { Key, Tagging: { TagSet: [{ Key: 'aws:x', Value: '1' }] } }), 'InvalidTag', 400);
  await refused(send('GetObjectTagging', { Key: key('absent') }), 'NoSuchKey', 404);
});

test('locked versions', async () => {
  const locked = `${Bucket}-locked`, Key = 'k';
  const at = (Command, input) => send(Command, { Bucket: locked, ...input });
  await at('CreateBucket', { ObjectLockEnabledForBucket: true });
  await at('PutObjectLockConfiguration', { ObjectLockConfiguration: { ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } } } });
  assert.equal((await at('GetObjectLockConfiguration', {})).ObjectLockConfiguration.Rule.DefaultRetention.Days, 1);
  const { VersionId } = await at('PutObject', { Key, Body: 'kept' });
  assert.equal((await at('HeadObject', { Key, VersionId })).ObjectLockMode, 'GOVERNANCE');
  await refused(at('DeleteObject', { Key, VersionId }), 'AccessDenied', 403);
  const until = ahead(2 * day);
  await at('PutObjectRetention', { Key, VersionId, Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until } });
  assert.equal(+(await at('GetObjectRetention', { Key, VersionId })).Retention.RetainUntilDate, +until);
  await refused(at('PutObjectRetention', { Key, VersionId, Retention: { Mode: 'GOVERNANCE', RetainUntilDate: ahead(day) } }),
    'AccessDenied', 403);
  await at('PutObjectLegalHold', { Key, VersionId, LegalHold: { Status: 'ON' } });
  assert.equal((await at('GetObjectLegalHold', { Key, VersionId })).LegalHold.Status, 'ON');
  await refused(at('DeleteObject', { Key, VersionId, BypassGovernanceRetention: true }), 'AccessDenied', 403);
  assert.equal((await body(await at('GetObject', { Key, VersionId }))).toString(), 'kept');
  await at('PutObjectLegalHold', { Key, VersionId, LegalHold: { Status: 'OFF' } });
  await at('DeleteObject', { Key, VersionId, BypassGovernanceRetention: true });
  await at('DeleteBucket', {});
});
