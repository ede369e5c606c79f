import dns from 'node:dns';
import { addressOf, isPublicAddress, lookupPublic, PrivateAddress } from '../../lib/web/private-addresses';

test.each([
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '100.127.255.255',
  '192.0.2.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'fe80::1',
  'fe80::1%eth0',
  'fc00::1',
  'fdff:ffff::1',
  'ff02::1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '64:ff9b::7f00:1',
  '64:ff9b::',
  '64:ff9b:1::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '::7f00:1',
  'not an address',
  '',
  '1.2.3',
  '0177.0.0.1',
])('%s is no public address', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.0.1',
  '172.32.0.1',
  '169.253.0.1',
  '2606:4700::1111',
  '2a00:1450:4001:80b::200e',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  ['http://2130706433/', '127.0.0.1'],
  ['http://0x7f.1/', '127.0.0.1'],
  ['http://0177.0.0.1/', '127.0.0.1'],
  ['http://127.1/', '127.0.0.1'],
  ['http://[::ffff:127.0.0.1]/', '::ffff:7f00:1'],
  ['http://①②⑦.0.0.1/', '127.0.0.1'],
  ['http://localhost/', undefined],
  ['http://127.0.0.1.example/', undefined],
])('the host of %s is %s', (url, address) => {
  expect(addressOf(new URL(url))).toBe(address);
});

describe('names', () => {
  afterEach(() => jest.restoreAllMocks());

  /** What the system's resolver would say. */
  function resolvesTo(...addresses: string[]): void {
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _host: string,
      options: dns.LookupOptions,
      callback: (...answer: unknown[]) => void,
    ) => {
      const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      if (options.all) callback(null, found);
      else callback(null, found[0]?.address, found[0]?.family);
    }) as unknown as typeof dns.lookup);
  }

  const look = (all: boolean): Promise<Error | null> =>
    new Promise((resolve) => lookupPublic('parts.example', { all }, (error) => resolve(error)));

  test.each([true, false])('a name of a private address is refused (all: %s)', async (all) => {
    resolvesTo('192.168.1.9');
    const error = await look(all);
    expect(error).toBeInstanceOf(PrivateAddress);
    expect(error?.message).toBe('parts.example is 192.168.1.9, which is not a public address');
  });

  test('one private address among public ones is enough', async () => {
    resolvesTo('8.8.8.8', '::1');
    expect(await look(true)).toBeInstanceOf(PrivateAddress);
  });

  test('public ones are given as they are', async () => {
    resolvesTo('8.8.8.8', '2606:4700::1111');
    expect(await look(true)).toBeNull();
  });
});
