#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: spoil_program.py OBJECT BINARY OUT

Copies BINARY, in which the kernel program OBJECT is embedded, and makes the program's first
instruction in section xdp.frags read a register that was never written. The verifier refuses that.
"""

import struct
import sys

READ_OF_R5 = bytes([0x79, 0x50, 0, 0, 0, 0, 0, 0])  # r0 = *(u64 *)(r5 + 0)


def section_offset(elf, wanted):
    """Where the section begins in the file (ELF64, little endian)."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    names = headers[names_index][4]
    for name, _, _, _, offset, _ in headers:
        start = names + name
        if elf[start : elf.index(b"\0", start)] == wanted:
            return offset
    raise SystemExit(f"no section {wanted.decode()}")


def main():
    object_file, binary, out = sys.argv[1:]
    with open(object_file, "rb") as file:
        elf = file.read()
    with open(binary, "rb") as file:
        image = bytearray(file.read())
    embedded = image.find(elf)
    if embedded < 0:
        raise SystemExit(f"{object_file} is not what {binary} embeds")
    at = embedded + section_offset(elf, b"xdp.frags")
    image[at : at + len(READ_OF_R5)] = READ_OF_R5
    with open(out, "wb") as file:
        file.write(image)


main()
