import dns from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** An address, or a name for one, that belongs to this machine or its own network and not to the public internet. */
export class PrivateAddress extends Error {
  constructor(
    readonly host: string,
    readonly address: string,
  ) {
    super(
      host === address ? `${address} is not a public address` : `${host} is ${address}, which is not a public address`,
    );
  }
}

/** IPv4 addresses that are not those of a public host (RFC 6890): this network, private, shared, loopback, link-local, tests, multicast, reserved. */
const IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

/** The public part of IPv6, without what carries IPv4 addresses in it or is for tests and documents. */
const IPV6_PUBLIC = [['2000::', 3]] as const;
const IPV6_NOT_PUBLIC = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;

/** IPv6 prefixes of 96 bits that an IPv4 address follows: mapped (RFC 4291), and translated on the way (RFC 6052). */
const CARRIERS = [
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
] as const;

function blockList(subnets: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  subnets.forEach(([net, prefix]) => list.addSubnet(net, prefix, family));
  return list;
}

const privateIPv4 = blockList(IPV4, 'ipv4');
const publicIPv6 = blockList(IPV6_PUBLIC, 'ipv6');
const notPublicIPv6 = blockList(IPV6_NOT_PUBLIC, 'ipv6');
const carriers = blockList(CARRIERS, 'ipv6');

/**
 * Whether an IP address is a public host's.
 * @param address IPv4 or IPv6, without brackets; with or without a zone; anything else is not public
 */
export function isPublicAddress(address: string): boolean {
  const [plain = ''] = address.split('%');
  if (isIP(plain) === 4) return !privateIPv4.check(plain, 'ipv4');
  if (isIP(plain) !== 6) return false;
  const carried = carriedIPv4(plain);
  if (carried !== undefined) return isPublicAddress(carried);
  return publicIPv6.check(plain, 'ipv6') && !notPublicIPv6.check(plain, 'ipv6');
}

/** The IPv4 address in the last 32 bits of an IPv6 address whose prefix says that one is there. */
function carriedIPv4(address: string): string | undefined {
  if (!carriers.check(address, 'ipv6')) return undefined;
  // As URLs are written, the last 32 bits are two groups of hexadecimal digits.
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const groups = host
    .split(':')
    .slice(-2)
    .map((group) => parseInt(group || '0', 16));
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.');
}

/**
 * The address that a URL's host is itself; undefined where it is a name. A URL's parser has already turned other ways of
 * writing an address (decimal, octal, hexadecimal, short) into the usual one.
 */
export function addressOf({ hostname }: URL): string | undefined {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(host) === 0 ? undefined : host;
}

/**
 * Looks a name up for a connection, as `dns.lookup` does, and refuses it where one of its addresses is private. The
 * connection goes to the returned address, so an answer that changes between lookups gains nothing.
 */
export const lookupPublic: LookupFunction = (host, options, callback) => {
  dns.lookup(host, options, (error, found: string | dns.LookupAddress[], family) => {
    if (error !== null) return callback(error, found, family);
    const addresses = typeof found === 'string' ? [found] : found.map(({ address }) => address);
    const wrong = addresses.find((address) => !isPublicAddress(address));
    callback(wrong === undefined ? null : new PrivateAddress(host, wrong), found, family);
  });
};
