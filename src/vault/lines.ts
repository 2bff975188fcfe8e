/**
 * Cuts a stream of bytes into lines at 0x0A, and nowhere else: what text libraries take for the end of a line differs
 * between versions of Node.
 *
 * @param onLine - Gets each line without its end.
 * @returns Takes the next bytes.
 */
export function createLineSplitter(onLine: (line: string) => void): (bytes: Buffer) => void {
  let pieces: Buffer[] = [];
  return (bytes) => {
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      onLine(Buffer.concat([...pieces, bytes.subarray(start, end)]).toString('utf8'));
      pieces = [];
      start = end + 1;
    }
    if (start < bytes.length) pieces.push(bytes.subarray(start));
  };
}
