import Domain
import JSON
import Postgres

/// The parts of a line in its exact form (``StoredEvent``), where they stand among bytes that someone
/// else holds.
package struct LineFields {
    /// A string as it stands between its quotes.
    package struct Text {
        fileprivate let raw: UnsafeRawBufferPointer
        fileprivate let hasEscapes: Bool

        /// Whether the text begins with ASCII characters that need no escape.
        package func begins(with prefix: String) -> Bool {
            var index = 0
            for byte in prefix.utf8 {
                guard index < raw.count, raw[index] == byte else { return false }
                index += 1
            }
            return true
        }

        package var bytes: [UInt8] { hasEscapes ? ByteScan.unescaped(raw) : Array(raw) }

        package var string: String { String(decoding: bytes, as: UTF8.self) }

        /// Whether it has the one character that PostgreSQL can't store in a text.
        fileprivate var hasNUL: Bool { hasEscapes && bytes.contains(0) }
    }

    package let position: Int64
    package let id: EventID
    package let stream: Text
    package let version: Int64
    package let type: Text
    package let recordedAt: Timestamp
    package let actor: Text
    /// JSON text.
    package let data: UnsafeRawBufferPointer
    package let correlation: Text?

    /// Whether PostgreSQL takes all texts.
    package var isStorable: Bool {
        !(stream.hasNUL || type.hasNUL || actor.hasNUL || correlation?.hasNUL == true)
    }

    /// The event, out of the bytes.
    package var event: StoredEvent {
        StoredEvent(
            position: position, id: id, stream: stream.string, version: version, type: type.string,
            recordedAt: recordedAt, actor: actor.string, data: Array(data),
            correlation: correlation?.string)
    }
}

/// Reads lines byte by byte, as all of them have the same members in the same order.
///
/// It takes exactly what ``StoredEvent/init(line:)`` takes, and allocates nothing for it.
package struct LineParser {
    private var calendar = Calendar()

    package init() {}

    /// The parts of a line without its line break; nil where it is not in the exact form.
    package mutating func parse(_ line: UnsafeRawBufferPointer) -> LineFields? {
        var scan = ByteScan(line)
        guard scan.literal(#"{"position":"#), let position = scan.integer(),
            scan.literal(#","id":""#), let id = scan.take(36).flatMap({ Self.id($0) }),
            scan.literal(#"","stream":""#), let stream = Self.text(&scan),
            scan.literal(#"","version":"#), let version = scan.integer(),
            scan.literal(#","type":""#), let type = Self.text(&scan),
            scan.literal(#"","recordedAt":""#),
            let recordedAt = scan.take(27).flatMap({ calendar.moment($0) }),
            scan.literal(#"","actor":""#), let actor = Self.text(&scan),
            scan.literal(#"","data":"#)
        else { return nil }
        let start = scan.offset
        guard scan.value(depth: 1) else { return nil }
        let data = scan.bytes(from: start)
        var correlation: LineFields.Text?
        if scan.literal(#","correlation":""#) {
            correlation = Self.text(&scan)
            guard correlation != nil, scan.literal("\"") else { return nil }
        }
        guard scan.literal("}"), scan.isAtEnd, ByteScan.isUTF8(line) else { return nil }
        return LineFields(
            position: position, id: id, stream: stream, version: version, type: type,
            recordedAt: recordedAt, actor: actor, data: data, correlation: correlation)
    }

    @inline(__always)
    private static func text(_ scan: inout ByteScan) -> LineFields.Text? {
        let start = scan.offset
        guard let hasEscapes = scan.exactText() else { return nil }
        return LineFields.Text(raw: scan.bytes(from: start), hasEscapes: hasEscapes)
    }

    /// A UUID in lower case.
    private static func id(_ text: UnsafeRawBufferPointer) -> EventID? {
        var words: (UInt64, UInt64) = (0, 0)
        for index in 0..<36 {
            let byte = text[index]
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            default: return nil
            }
            if index < 18 {
                words.0 = words.0 << 4 | UInt64(digit)
            } else {
                words.1 = words.1 << 4 | UInt64(digit)
            }
        }
        return EventID(high: words.0, low: words.1)
    }
}

/// Reads moments in the form of ``Timestamp/description``, and remembers the day: the next is often
/// on it.
private struct Calendar {
    private var date: [UInt8] = []
    private var midnight: Int64 = 0

    mutating func moment(_ text: UnsafeRawBufferPointer) -> Timestamp? {
        let day = UnsafeRawBufferPointer(rebasing: text[..<10])
        if !day.elementsEqual(date) {
            guard let timestamp = Timestamp(String(decoding: day, as: UTF8.self)) else {
                return nil
            }
            date = Array(day)
            midnight = timestamp.microseconds
        }
        guard text[10] == UInt8(ascii: "T"), text[13] == UInt8(ascii: ":"),
            text[16] == UInt8(ascii: ":"), text[19] == UInt8(ascii: "."),
            text[26] == UInt8(ascii: "Z"), let hour = Self.number(text[11..<13]), hour < 24,
            let minute = Self.number(text[14..<16]), minute < 60,
            let second = Self.number(text[17..<19]), second < 60,
            let fraction = Self.number(text[20..<26])
        else { return nil }
        return Timestamp(
            microseconds: midnight + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
    }

    @inline(__always)
    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard digit &- 0x30 < 10 else { return nil }
            value = value * 10 + Int64(digit - 0x30)
        }
        return value
    }
}

extension CopyRows {
    /// Writes a line's parts as the columns ``LogScan/eventColumns``.
    package mutating func event(_ fields: LineFields) {
        beginRow(columns: 9)
        int64(fields.position)
        withUnsafeBytes(of: (fields.id.high.bigEndian, fields.id.low.bigEndian)) { bytes($0) }
        text(fields.stream)
        int64(fields.version)
        text(fields.type)
        timestamp(fields.recordedAt.microseconds)
        text(fields.actor)
        bytes(fields.data)
        if let correlation = fields.correlation { text(correlation) } else { null() }
    }

    @inline(__always)
    private mutating func text(_ text: LineFields.Text) {
        if text.hasEscapes { bytes(text.bytes) } else { bytes(text.raw) }
    }
}
