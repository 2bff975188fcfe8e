import { describe, expect, test } from 'vitest';
import { type BusMessage, decodeMessage, encodeMessage } from '../../src/vault/dbus-message.ts';
import { findSessionBusSocket } from '../../src/vault/session-bus.ts';

describe('messages', () => {
  const message = {
    type: 2,
    serial: 7,
    replySerial: 3,
    destination: ':1.5',
    sender: ':1.2',
    signature: 'ya{o(oayays)}bvas',
    body: [
      5,
      [['/item/1', ['/session/1', Buffer.alloc(0), Buffer.from('sécret-canary'), 'text/plain']]],
      true,
      { signature: 'a{ss}', value: [['key', 'value']] },
      ['', 'ü'],
    ],
  } satisfies BusMessage;

  test('come back as they were sent, one after the other', () => {
    const bytes = Buffer.concat([encodeMessage(message), encodeMessage({ ...message, serial: 8 })]);
    const first = decodeMessage(bytes);
    expect(first?.message).toEqual(message);
    expect(decodeMessage(bytes.subarray(first?.length))?.message.serial).toBe(8);
  });

  test('are written as the specification says', () => {
    // The Hello call that libdbus sends, taken from the wire.
    const hello =
      '6c01000100000000010000006d00000001016f00150000002f6f72672f667265656465736b746f702f44427573000000' +
      '02017300140000006f72672e667265656465736b746f702e4442757300000000030173000500000048656c6c6f000000' +
      '06017300140000006f72672e667265656465736b746f702e4442757300000000';
    const bus = 'org.freedesktop.DBus';
    const call = { path: '/org/freedesktop/DBus', interface: bus, member: 'Hello', destination: bus };
    expect(encodeMessage({ type: 1, serial: 1, ...call }).toString('hex')).toBe(hello);
  });

  test('of a big-endian service are understood', () => {
    const header = '42020001' + '00000009' + '00000005' + '00000010';
    const fields = '0501750000000003' + '0801670002617900';
    const whole = Buffer.from(`${header}${fields}${'00000005' + '4142434445'}`, 'hex');
    expect(decodeMessage(whole)?.message).toMatchObject({
      replySerial: 3,
      serial: 5,
      body: [Buffer.from('ABCDE')],
    });
  });

  test('are waited for until they are complete', () => {
    const bytes = encodeMessage(message);
    for (let length = 0; length < bytes.length; length++)
      expect(decodeMessage(bytes.subarray(0, length))).toBeUndefined();
  });

  test('with any byte changed are understood, waited for, or refused, and never anything else', () => {
    const bytes = encodeMessage(message);
    for (let index = 0; index < bytes.length; index++) {
      for (const value of [0, 1, 0x28, 0x61, 0x76, 0x7f, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[index] = value;
        expectOnlyRangeErrors(() => decodeMessage(changed));
      }
    }
  });

  test.each([
    ['variants nested without end', 'v', '017600'.repeat(100_000), 'nested too deep'],
    ['an array of empty structs', 'a()', 'ff00000000000000', 'unknown D-Bus type'],
    ['a struct without end', '(((((', '0000000000000000', 'unknown D-Bus type'],
    ['a type that is not known', 'aaaaaz', '0000000000000000', 'unknown D-Bus type'],
    ['a string longer than the message', 's', 'ff0000006100', 'too short'],
    ['an array that overruns its length', 'ass', '01000000' + '0000000000000000' + '0000000000', 'overruns'],
    ['a variant of two types', 'v', '0279790001', 'one complete type'],
    ['less than its body', 'y', '0101', 'does not match'],
  ])('with %s are refused', (_, signature, hex, reason) => {
    const body = Buffer.from(hex, 'hex');
    const bytes = Buffer.concat([encodeWithSignature(signature, body.length), body]);
    expect(() => decodeMessage(bytes)).toThrow(reason);
  });
});

test.each([
  [{ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus' }, '/run/user/1000/bus'],
  [{ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/tmp/dbus-x,guid=0123' }, '/tmp/dbus-x'],
  [{ DBUS_SESSION_BUS_ADDRESS: 'unix:guid=0123,path=/tmp/dbus-x' }, '/tmp/dbus-x'],
  [{ DBUS_SESSION_BUS_ADDRESS: 'unix:abstract=/tmp/dbus-x,guid=0' }, '\0/tmp/dbus-x'],
  [{ DBUS_SESSION_BUS_ADDRESS: 'kernel:path=/sys;unix:path=/tmp/a%20b' }, '/tmp/a b'],
  [{ DBUS_SESSION_BUS_ADDRESS: 'tcp:host=127.0.0.1,port=1', XDG_RUNTIME_DIR: '/run' }, undefined],
  [{ DBUS_SESSION_BUS_ADDRESS: 'unix:runtime=yes' }, undefined],
  [{ XDG_RUNTIME_DIR: '/run/user/1000' }, '/run/user/1000/bus'],
  [{ DBUS_SESSION_BUS_ADDRESS: '', XDG_RUNTIME_DIR: '' }, undefined],
  [{}, undefined],
])('the session bus of %o is at %j', (env, socketPath) => {
  expect(findSessionBusSocket(env)).toBe(socketPath);
});

/** A header that announces a body of any signature, which `encodeMessage` would refuse. */
function encodeWithSignature(signature: string, bodyLength: number): Buffer {
  const header = Buffer.alloc(16 + Math.ceil((5 + signature.length + 1) / 8) * 8);
  header.set([0x6c, 2, 0, 1]);
  header.writeUInt32LE(bodyLength, 4);
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(4 + 1 + signature.length + 1, 12);
  header.set([8, 1, 0x67, 0, signature.length], 16);
  header.write(signature, 21);
  return header;
}

function expectOnlyRangeErrors(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
  }
}
