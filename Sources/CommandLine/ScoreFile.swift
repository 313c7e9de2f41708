import Domain

/// Cuts text that comes in pieces into JSON objects and the lines on which they begin.
///
/// The text is an array of objects, or objects one after the other, as on lines. An object is
/// found by its brackets and is not checked beyond them.
struct ScoreSplitter {
    /// One object of the text.
    struct Object: Equatable {
        let line: Int
        let bytes: [UInt8]
    }

    private enum Place {
        case start, atArray, afterObject, afterComma, end
    }

    /// More than a request may hold.
    private static let objectBytesMax = Limits.requestBodyBytesMax

    private var place = Place.start
    private var isArray = false
    private var line = 1
    private var object: [UInt8] = []
    private var objectLine = 0
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    /// Gives each object that is complete to `onObject`.
    mutating func receive(
        _ piece: some Sequence<UInt8>,
        onObject: (Object) throws -> Void
    ) throws {
        for byte in piece {
            if depth == 0 {
                try receiveOutside(byte)
            } else if receiveInside(byte) {
                try onObject(Object(line: objectLine, bytes: object))
                object.removeAll(keepingCapacity: true)
                place = .afterObject
            }
            guard object.count <= Self.objectBytesMax else {
                throw failure("the object does not end", line: objectLine)
            }
            if byte == UInt8(ascii: "\n") { line += 1 }
        }
    }

    /// Fails where the text ends within an object or an array.
    func finish() throws(CommandFailure) {
        if depth > 0 {
            throw failure("the object does not end", line: objectLine)
        }
        if isArray, place != .end {
            throw failure("the array does not end", line: line)
        }
    }

    private mutating func receiveOutside(_ byte: UInt8) throws(CommandFailure) {
        switch (byte, place) {
        case (0x20, _), (0x09, _), (0x0a, _), (0x0d, _): return
        case (UInt8(ascii: "["), .start):
            isArray = true
            place = .atArray
        case (UInt8(ascii: "]"), .atArray),
            (UInt8(ascii: "]"), .afterObject) where isArray:
            place = .end
        case (UInt8(ascii: ","), .afterObject) where isArray:
            place = .afterComma
        case (UInt8(ascii: "{"), .start), (UInt8(ascii: "{"), .atArray),
            (UInt8(ascii: "{"), .afterComma),
            (UInt8(ascii: "{"), .afterObject) where !isArray:
            objectLine = line
            object.append(byte)
            depth = 1
        default:
            throw failure("expected a score, as in {\"experiment\": …}", line: line)
        }
    }

    /// Takes a byte of an object; true if that is its last.
    private mutating func receiveInside(_ byte: UInt8) -> Bool {
        object.append(byte)
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
            return false
        }
        switch byte {
        case UInt8(ascii: "\""): isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
        return depth == 0
    }

    private func failure(_ reason: String, line: Int) -> CommandFailure {
        CommandFailure(message: "line \(line): \(reason)")
    }
}
