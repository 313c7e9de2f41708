/// A JSON number, kept as the text it was written in.
package struct JSONNumber: Sendable, Hashable {
    package let text: String

    package init(text: String) { self.text = text }
    package init(_ value: Int) { text = String(value) }
    package init(_ value: Int64) { text = String(value) }
    package init(_ value: Double) { text = shortestForm(of: value) }

    /// The nearest `Double`; infinite where the text is out of range.
    package var double: Double { Double(text) ?? .infinity }

    /// The number as an integer, if it is written as one and fits.
    package var integer: Int64? { Int64(text) }
}

/// Any JSON document; objects keep the order of their members.
package enum JSONValue: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var key: String
        package var value: JSONValue

        package init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// The member of an object, or nil.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    package var integer: Int64? {
        if case .number(let number) = self { number.integer } else { nil }
    }
    package var double: Double? {
        if case .number(let number) = self { number.double } else { nil }
    }
    package var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
    package var object: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }
    package var isNull: Bool { self == .null }

    /// What kind of value this is, as an error message names it.
    package var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The value as compact JSON.
    package var encoded: [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    /// Reads one complete document; anything after it is an error.
    package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        try scanning(bytes) { scanner throws(JSONError) in
            let value = try scanner.value()
            try scanner.end()
            return value
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
}
