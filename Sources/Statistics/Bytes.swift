extension [UInt8] {
    /// Seven bits a byte, lowest first, the high bit set on all but the last (LEB128).
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// A varint in which small numbers of either sign are short.
    mutating func append(zigzag value: Int) {
        append(varint: UInt64(bitPattern: Int64(value << 1 ^ value >> 63)))
    }
}

/// Reads what the `append`s wrote; nil at the end of the bytes or where they make no sense.
struct ByteReader {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func byte() -> UInt8? {
        if isAtEnd { return nil }
        offset += 1
        return bytes[offset - 1]
    }

    /// Refuses what is longer than it has to be, so that a number has one form.
    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = byte() {
            if shift == 63 && byte > 1 || shift > 63 { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return byte == 0 && shift > 0 ? nil : value }
            shift += 7
        }
        return nil
    }

    mutating func zigzag() -> Int? {
        varint().map { Int(truncatingIfNeeded: $0 >> 1) ^ -Int(truncatingIfNeeded: $0 & 1) }
    }

    mutating func uint32() -> UInt32? { fixedWidth(4).map { UInt32($0) } }

    private mutating func fixedWidth(_ width: Int) -> UInt64? {
        guard bytes.count - offset >= width else { return nil }
        defer { offset += width }
        return bytes[offset..<offset + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
