import packageFile from '../package.json' with { type: 'json' };

/** gitlink's own version, from the package that it is part of. */
export const { version } = packageFile;
