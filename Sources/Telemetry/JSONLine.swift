import Logging

/// One JSON object on one line, written from its first key to its last.
struct JSONLine {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    mutating func append(key: String, _ value: Logger.MetadataValue) {
        if bytes.count > 1 {
            bytes.append(UInt8(ascii: ","))
        }
        append(string: key)
        bytes.append(UInt8(ascii: ":"))
        append(value)
    }

    /// The line with its closing brace and newline.
    consuming func finished() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private mutating func append(_ value: Logger.MetadataValue) {
        switch value {
        case .string(let text):
            append(string: text)
        case .stringConvertible(let value):
            append(convertible: value)
        case .array(let values):
            append(list: values, between: "[", "]") { line, value in line.append(value) }
        case .dictionary(let members):
            let sorted = members.sorted { $0.key < $1.key }
            append(list: sorted, between: "{", "}") { line, member in
                line.append(string: member.key)
                line.bytes.append(UInt8(ascii: ":"))
                line.append(member.value)
            }
        }
    }

    private mutating func append<Element>(
        list: [Element],
        between open: Unicode.Scalar,
        _ close: Unicode.Scalar,
        append: (inout JSONLine, Element) -> Void
    ) {
        bytes.append(UInt8(ascii: open))
        for (index, element) in list.enumerated() {
            if index > 0 {
                bytes.append(UInt8(ascii: ","))
            }
            append(&self, element)
        }
        bytes.append(UInt8(ascii: close))
    }

    /// Numbers and booleans stay what they are, so that a log search can compare them.
    private mutating func append(convertible value: any CustomStringConvertible & Sendable) {
        switch value {
        case let number as any FixedWidthInteger:
            bytes.append(contentsOf: number.description.utf8)
        case let number as Double where number.isFinite:
            bytes.append(contentsOf: number.description.utf8)
        case let flag as Bool:
            bytes.append(contentsOf: flag.description.utf8)
        default:
            append(string: value.description)
        }
    }

    private mutating func append(string: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(Self.hexDigit(byte >> 4))
                bytes.append(Self.hexDigit(byte & 0xf))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
