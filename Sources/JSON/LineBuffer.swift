/// Bytes of lines that are only ever appended, at an address that stays put until they grow.
///
/// ``JSONWriter`` writes anything; this one writes what the hot path has millions of: literals,
/// decimal numbers, and text that others hold, without a `String` or an array for any of it.
package struct LineBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    /// Bytes written so far.
    package private(set) var count = 0

    package init(capacity: Int = 65_536) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// A copy of the bytes.
    package var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }

    /// Lends the bytes without copying them.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Takes back everything, and keeps the room.
    package mutating func removeAll() { count = 0 }

    /// Makes room for `extra` more bytes.
    @inline(__always)
    private mutating func prepare(_ extra: Int) {
        if count + extra > capacity { grow(extra) }
    }

    @inline(never)
    private mutating func grow(_ extra: Int) {
        capacity = max(count + extra, capacity * 2)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = larger
    }

    /// Appends ASCII text as it stands.
    @inline(__always)
    package mutating func literal(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    package mutating func byte(_ byte: UInt8) {
        prepare(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    @inline(__always)
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        prepare(bytes.count)
        if let source = bytes.baseAddress {
            (base + count).copyMemory(from: source, byteCount: bytes.count)
        }
        count += bytes.count
    }

    /// Appends a decimal number.
    package mutating func integer(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        var magnitude = value.magnitude
        var width = 1
        var rest = magnitude / 10
        while rest > 0 {
            width += 1
            rest /= 10
        }
        prepare(width)
        for index in stride(from: width - 1, through: 0, by: -1) {
            let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
            store(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit), index)
            magnitude = quotient
        }
        count += width
    }

    /// Appends the last `width` decimal digits of a number.
    @inline(__always)
    package mutating func digits(_ value: Int, width: Int) {
        prepare(width)
        var rest = value
        for index in stride(from: width - 1, through: 0, by: -1) {
            store(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10), index)
            rest /= 10
        }
        count += width
    }

    /// Appends the 16 bytes of a UUID in the lower-case 8-4-4-4-12 form.
    package mutating func uuid(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == 16, "not a UUID")
        prepare(36)
        var at = 0
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                store(UInt8(ascii: "-"), at)
                at += 1
            }
            store(Self.hexDigit(bytes[index] >> 4), at)
            store(Self.hexDigit(bytes[index] & 0xF), at + 1)
            at += 2
        }
        count += 36
    }

    /// Appends UTF-8 text as what stands between the quotes of a JSON string.
    package mutating func escaped(_ text: UnsafeRawBufferPointer) {
        guard ByteScan.plainEnd(text, from: 0) < text.count else { return append(text) }
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                self.byte(UInt8(ascii: "\\"))
                self.byte(byte)
            case 0x08: literal("\\b")
            case 0x09: literal("\\t")
            case 0x0A: literal("\\n")
            case 0x0C: literal("\\f")
            case 0x0D: literal("\\r")
            case ..<0x20:
                literal("\\u00")
                self.byte(Self.hexDigit(byte >> 4))
                self.byte(Self.hexDigit(byte & 0xF))
            default: self.byte(byte)
            }
        }
    }

    @inline(__always)
    private func store(_ byte: UInt8, _ offset: Int) {
        base.storeBytes(of: byte, toByteOffset: count + offset, as: UInt8.self)
    }

    @inline(__always)
    private static func hexDigit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }
}
