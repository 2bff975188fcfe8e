import { read } from 'node:fs';

const chunkBytes = 64 * 1024;

/**
 * Reads a file descriptor to its end. git's helper reads standard input this way because `process.stdin` loads
 * the stream, net and tty modules first, which costs it a millisecond or two.
 *
 * @throws the system's error, except for `EOF`, which some systems report at the end of a pipe.
 */
export async function* readChunks(fd: number): AsyncGenerator<Buffer> {
  for (;;) {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    const length = await new Promise<number>((resolve, reject) => {
      read(fd, buffer, 0, chunkBytes, null, (error, count) => {
        if (!error) resolve(count);
        else if (error.code === 'EOF') resolve(0);
        else reject(error);
      });
    });
    if (length === 0) return;
    yield buffer.subarray(0, length);
  }
}
