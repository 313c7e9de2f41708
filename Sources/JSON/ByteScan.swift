/// Reads forward over JSON bytes that someone else holds, and makes nothing of them: for the hot
/// path, which has to know that a text is right and where its parts are, and no more.
///
/// Each step answers whether the bytes are as they should be; after a `false` the reader is of no
/// more use. That the text is UTF-8 is left to ``isUTF8(_:)``, for all of it at once. It takes what
/// ``JSONScanner`` takes, which a test holds it to.
package struct ByteScan {
    private let base: UnsafeRawBufferPointer
    /// Of the next byte.
    package private(set) var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { base = bytes }

    package var isAtEnd: Bool { offset == base.count }

    /// The bytes from an offset up to the next byte.
    package func bytes(from start: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: base[start..<offset])
    }

    @inline(__always)
    private var next: UInt8? { offset < base.count ? base[offset] : nil }

    /// Passes over exactly these bytes.
    @inline(__always)
    package mutating func literal(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard base.count - offset >= count else { return false }
        for index in 0..<count where base[offset + index] != text.utf8Start[index] { return false }
        offset += count
        return true
    }

    /// So many bytes, whatever they are; nil where there are fewer.
    @inline(__always)
    package mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard base.count - offset >= count else { return nil }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: base[offset..<offset + count])
    }

    /// A whole number in the one form that ``JSONWriter`` writes; nil for anything else.
    package mutating func integer() -> Int64? {
        let isNegative = next == UInt8(ascii: "-")
        if isNegative { offset += 1 }
        let start = offset
        var value: Int64 = 0
        while let byte = next, byte &- 0x30 < 10 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - 0x30)
            let (sum, carry) = product.addingReportingOverflow(isNegative ? -digit : digit)
            if overflow || carry { return nil }
            value = sum
            offset += 1
        }
        guard offset > start,
            base[start] != UInt8(ascii: "0") || (offset == start + 1 && !isNegative)
        else { return nil }
        return value
    }

    // MARK: Strings

    /// Passes over what stands between the quotes of a string, in the one form that ``JSONWriter``
    /// writes; the opening quote is behind, the closing one left in place.
    ///
    /// - Returns: whether there are escapes; nil where it is not in that form.
    package mutating func exactText() -> Bool? {
        var hasEscapes = false
        while true {
            offset = Self.plainEnd(base, from: offset)
            switch next {
            case UInt8(ascii: "\""): return hasEscapes
            case UInt8(ascii: "\\"):
                hasEscapes = true
                offset += 1
                guard exactEscape() else { return nil }
            default: return nil
            }
        }
    }

    private mutating func exactEscape() -> Bool {
        guard let byte = next else { return false }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            guard let digits = take(4), digits[0] == 0x30, digits[1] == 0x30,
                digits[2] == 0x30 || digits[2] == 0x31
            else { return false }
            let isShort = digits[2] == 0x30
            switch digits[3] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                // U+0008 and U+0009 have escapes of their own.
                return !(isShort && digits[3] >= UInt8(ascii: "8"))
            case UInt8(ascii: "b"), UInt8(ascii: "e"), UInt8(ascii: "f"): return true
            case UInt8(ascii: "a"), UInt8(ascii: "c"), UInt8(ascii: "d"): return !isShort
            default: return false
            }
        default: return false
        }
    }

    /// The text that stands between the quotes of a string in its exact form.
    package static func unescaped(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            guard text[index] == UInt8(ascii: "\\") else {
                bytes.append(text[index])
                index += 1
                continue
            }
            switch text[index + 1] {
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "f"): bytes.append(0x0C)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "u"):
                bytes.append((text[index + 4] & 1) << 4 | hexValue(text[index + 5]))
                index += 4
            case let byte: bytes.append(byte)
            }
            index += 2
        }
        return bytes
    }

    private static func hexValue(_ digit: UInt8) -> UInt8 {
        digit < 0x40 ? digit & 0xF : (digit & 0xF) + 9
    }

    /// The first byte from an offset on that ends plain text in a string: a quote, a backslash or a
    /// control character. Eight are looked at at a time.
    @inline(__always)
    static func plainEnd(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var index = start
        while index + 8 <= text.count {
            let word = UInt64(
                littleEndian: text.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            // A high bit is set where a byte is less than 0x20, or zero after the exclusive or; a
            // borrow can set further ones only behind the first.
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let found =
                (((word &- ones &* 0x20) & ~word) | ((quote &- ones) & ~quote)
                    | ((backslash &- ones) & ~backslash)) & highs
            if found != 0 { return index + found.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < text.count {
            let byte = text[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return index }
            index += 1
        }
        return index
    }

    /// Takes the next line off, without its line break; nil where there is no whole one.
    package static func line(_ rest: inout UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var index = 0
        while index + 8 <= rest.count {
            let word = UInt64(
                littleEndian: rest.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let breaks = word ^ (ones &* 0x0A)
            let found = (breaks &- ones) & ~breaks & (ones &* 0x80)
            if found != 0 {
                index += found.trailingZeroBitCount / 8
                break
            }
            index += 8
        }
        while index < rest.count, rest[index] != 0x0A { index += 1 }
        guard index < rest.count else { return nil }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[(index + 1)...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<index])
    }

    /// Whether bytes are UTF-8; most are ASCII, which is quick to see.
    package static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        var seen: UInt64 = 0
        while index + 8 <= bytes.count {
            seen |= bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            index += 8
        }
        while index < bytes.count {
            seen |= UInt64(bytes[index])
            index += 1
        }
        return seen & 0x8080_8080_8080_8080 == 0 || String(validating: bytes, as: UTF8.self) != nil
    }

    // MARK: Values

    /// Passes over a value in any form; white space is taken within it, not before it.
    ///
    /// - Parameter depth: the levels that are around it.
    package mutating func value(depth: Int) -> Bool {
        switch next {
        case UInt8(ascii: "{"): return container(UInt8(ascii: "}"), depth: depth + 1, keys: true)
        case UInt8(ascii: "["): return container(UInt8(ascii: "]"), depth: depth + 1, keys: false)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return literal("true")
        case UInt8(ascii: "f"): return literal("false")
        case UInt8(ascii: "n"): return literal("null")
        default: return number()
        }
    }

    @inline(__always)
    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            offset += 1
        }
    }

    private mutating func container(_ end: UInt8, depth: Int, keys: Bool) -> Bool {
        guard depth <= JSONScanner.depthMax else { return false }
        offset += 1
        skipSpace()
        if next == end {
            offset += 1
            return true
        }
        while true {
            if keys {
                guard next == UInt8(ascii: "\""), string() else { return false }
                skipSpace()
                guard next == UInt8(ascii: ":") else { return false }
                offset += 1
                skipSpace()
            }
            guard value(depth: depth) else { return false }
            skipSpace()
            let byte = next
            offset += 1
            if byte == end { return true }
            guard byte == UInt8(ascii: ",") else { return false }
            skipSpace()
        }
    }

    private mutating func number() -> Bool {
        if next == UInt8(ascii: "-") { offset += 1 }
        if next == UInt8(ascii: "0") { offset += 1 } else if !digits() { return false }
        if next == UInt8(ascii: ".") {
            offset += 1
            guard digits() else { return false }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = offset
        while let byte = next, byte &- 0x30 < 10 { offset += 1 }
        return offset > start
    }

    private mutating func string() -> Bool {
        offset += 1
        while true {
            offset = Self.plainEnd(base, from: offset)
            switch next {
            case UInt8(ascii: "\""):
                offset += 1
                return true
            case UInt8(ascii: "\\"):
                offset += 1
                guard escape() else { return false }
            default: return false
            }
        }
    }

    private mutating func escape() -> Bool {
        guard let byte = next else { return false }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return true
        case UInt8(ascii: "u"):
            guard let unit = codeUnit() else { return false }
            guard 0xD800..<0xE000 ~= unit else { return true }
            // The first of a pair, and only with the second behind it.
            guard unit < 0xDC00, literal("\\u"), let low = codeUnit() else { return false }
            return 0xDC00..<0xE000 ~= low
        default: return false
        }
    }

    private mutating func codeUnit() -> UInt16? {
        guard let digits = take(4) else { return nil }
        var unit: UInt16 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"):
                unit = unit << 4 | UInt16(Self.hexValue(digit))
            default: return nil
            }
        }
        return unit
    }
}
