/// Why a text is not the JSON that was expected, and where.
package struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Bytes before the place of the error.
    package let offset: Int
    package let reason: String

    package var description: String { "\(reason) at byte \(offset)" }
}

/// Runs `body` over the bytes with a scanner that reads them in place.
package func scanning<T>(
    _ bytes: [UInt8], _ body: (inout JSONScanner) throws(JSONError) -> T
) throws(JSONError) -> T {
    let result: Result<T, JSONError> = bytes.withUnsafeBytes { buffer in
        var scanner = JSONScanner(buffer)
        do throws(JSONError) { return .success(try body(&scanner)) } catch {
            return .failure(error)
        }
    }
    return try result.get()
}

/// A strict pull parser for RFC 8259 JSON over bytes that someone else holds.
///
/// It allocates only for the strings it is asked for. Duplicate keys, unpaired surrogates, invalid
/// UTF-8, leading zeros and anything deeper than ``depthMax`` are refused.
package struct JSONScanner {
    /// Levels of nested arrays and objects.
    package static let depthMax = 64

    private let base: UnsafeRawBufferPointer
    private(set) var offset = 0
    private var depth = 0

    package init(_ bytes: UnsafeRawBufferPointer) { base = bytes }

    private func failure(_ reason: String) -> JSONError {
        JSONError(offset: offset, reason: reason)
    }

    // MARK: Structure

    /// The next byte that is not white space, left in place; nil at the end.
    @inline(__always)
    package mutating func peek() -> UInt8? {
        while offset < base.count {
            let byte = base[offset]
            switch byte {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return byte
            }
        }
        return nil
    }

    @inline(__always)
    private mutating func expect(_ byte: UInt8, _ what: @autoclosure () -> String) throws(JSONError)
    {
        guard peek() == byte else { throw failure("expected \(what())") }
        offset += 1
    }

    /// Fails unless only white space is left.
    package mutating func end() throws(JSONError) {
        if peek() != nil { throw failure("unexpected text after the document") }
    }

    /// Reads an object, calling `member` with each key; it must consume the value.
    package mutating func object(
        _ member: (inout JSONScanner, String) throws(JSONError) -> Void
    ) throws(JSONError) {
        try expect(UInt8(ascii: "{"), "an object")
        try enter()
        defer { depth -= 1 }
        if peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        while true {
            let key = try string()
            try expect(UInt8(ascii: ":"), "':' after a key")
            try member(&self, key)
            switch peek() {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "}"):
                offset += 1
                return
            default: throw failure("expected ',' or '}'")
            }
        }
    }

    /// Reads an array, calling `element` before each element; it must consume the value.
    package mutating func array(
        _ element: (inout JSONScanner) throws(JSONError) -> Void
    ) throws(JSONError) {
        try expect(UInt8(ascii: "["), "an array")
        try enter()
        defer { depth -= 1 }
        if peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        while true {
            try element(&self)
            switch peek() {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "]"):
                offset += 1
                return
            default: throw failure("expected ',' or ']'")
            }
        }
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        if depth > Self.depthMax { throw failure("nested too deeply") }
    }

    // MARK: Values

    /// Reads any value into a tree.
    package mutating func value() throws(JSONError) -> JSONValue {
        switch peek() {
        case UInt8(ascii: "{"):
            var members: [JSONValue.Member] = []
            var seen: Set<String> = []
            try object { scanner, key throws(JSONError) in
                // A set of texts also takes composed and decomposed letters for the same.
                guard
                    seen.insert(key).inserted
                        || !members.contains(where: { $0.key.utf8.elementsEqual(key.utf8) })
                else {
                    throw scanner.failure("duplicate key \"\(key)\"")
                }
                members.append(.init(key, try scanner.value()))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { scanner throws(JSONError) in
                elements.append(try scanner.value())
            }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try bool())
        case UInt8(ascii: "n"):
            try literal("null")
            return .null
        default: return .number(try number())
        }
    }

    /// Reads past any value and returns its exact text.
    package mutating func span() throws(JSONError) -> [UInt8] {
        _ = peek()
        let start = offset
        try skip()
        return Array(UnsafeRawBufferPointer(rebasing: base[start..<offset]))
    }

    /// Reads past any value without building it; duplicate keys are not looked for.
    package mutating func skip() throws(JSONError) {
        switch peek() {
        case UInt8(ascii: "{"):
            try object { scanner, _ throws(JSONError) in try scanner.skip() }
        case UInt8(ascii: "["): try array { scanner throws(JSONError) in try scanner.skip() }
        default: _ = try value()
        }
    }

    package mutating func bool() throws(JSONError) -> Bool {
        switch peek() {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        default: throw failure("expected true or false")
        }
    }

    private mutating func literal(_ text: StaticString) throws(JSONError) {
        for index in 0..<text.utf8CodeUnitCount {
            guard offset < base.count, base[offset] == text.utf8Start[index] else {
                throw failure("expected \(text)")
            }
            offset += 1
        }
    }

    package mutating func number() throws(JSONError) -> JSONNumber {
        _ = peek()
        let start = offset
        if at(UInt8(ascii: "-")) { offset += 1 }
        if at(UInt8(ascii: "0")) { offset += 1 } else { try digits() }
        if at(UInt8(ascii: ".")) {
            offset += 1
            try digits()
        }
        if at(UInt8(ascii: "e")) || at(UInt8(ascii: "E")) {
            offset += 1
            if at(UInt8(ascii: "+")) || at(UInt8(ascii: "-")) { offset += 1 }
            try digits()
        }
        let text = UnsafeRawBufferPointer(rebasing: base[start..<offset])
        return JSONNumber(text: String(decoding: text, as: UTF8.self))
    }

    @inline(__always)
    private func at(_ byte: UInt8) -> Bool { offset < base.count && base[offset] == byte }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while offset < base.count, (0x30...0x39).contains(base[offset]) {
            offset += 1
        }
        if offset == start { throw failure("expected a value") }
    }

    // MARK: Strings

    package mutating func string() throws(JSONError) -> String {
        try expect(UInt8(ascii: "\""), "a string")
        let start = offset
        while offset < base.count {
            switch base[offset] {
            case UInt8(ascii: "\""):
                let text = UnsafeRawBufferPointer(rebasing: base[start..<offset])
                offset += 1
                return try decoded(text, from: start)
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            case 0..<0x20: throw failure("unescaped control character in a string")
            default: offset += 1
            }
        }
        throw failure("unterminated string")
    }

    private func decoded(
        _ text: UnsafeRawBufferPointer, from start: Int
    ) throws(JSONError) -> String {
        // Most texts are ASCII, and looking is cheaper than validating.
        if text.allSatisfy({ $0 < 0x80 }) { return String(decoding: text, as: UTF8.self) }
        guard let string = String(validating: text, as: UTF8.self) else {
            throw JSONError(offset: start, reason: "invalid UTF-8 in a string")
        }
        return string
    }

    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var bytes = Array(UnsafeRawBufferPointer(rebasing: base[start..<offset]))
        while offset < base.count {
            let byte = base[offset]
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                return try bytes.withUnsafeBytes { buffer in
                    Result { () throws(JSONError) in try decoded(buffer, from: start) }
                }.get()
            case UInt8(ascii: "\\"):
                offset += 1
                try escape(into: &bytes)
            case 0..<0x20: throw failure("unescaped control character in a string")
            default:
                bytes.append(byte)
                offset += 1
            }
        }
        throw failure("unterminated string")
    }

    private mutating func escape(into bytes: inout [UInt8]) throws(JSONError) {
        guard offset < base.count else { throw failure("unterminated string") }
        let byte = base[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try unicodeScalar()
            bytes.append(contentsOf: String(Character(scalar)).utf8)
        default: throw failure("unknown escape in a string")
        }
    }

    private mutating func unicodeScalar() throws(JSONError) -> Unicode.Scalar {
        let high = try codeUnit()
        if let scalar = Unicode.Scalar(UInt32(high)) { return scalar }
        guard (0xD800..<0xDC00).contains(high), at(UInt8(ascii: "\\")) else {
            throw failure("unpaired surrogate in a string")
        }
        offset += 1
        guard at(UInt8(ascii: "u")) else {
            throw failure("unpaired surrogate in a string")
        }
        offset += 1
        let low = try codeUnit()
        let combined = 0x10000 + (UInt32(high & 0x3FF) << 10) + UInt32(low & 0x3FF)
        guard (0xDC00..<0xE000).contains(low), let scalar = Unicode.Scalar(combined) else {
            throw failure("unpaired surrogate in a string")
        }
        return scalar
    }

    private mutating func codeUnit() throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard offset < base.count,
                let digit = Character(Unicode.Scalar(base[offset])).hexDigitValue
            else { throw failure("expected four hexadecimal digits") }
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }
}
