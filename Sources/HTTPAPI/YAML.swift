import JSON
import Yams

/// Documents as YAML. Scalars are read by the JSON schema of YAML 1.2: dates and odd spellings of
/// booleans stay texts, numbers keep the text they were written in.
enum YAML {
    /// All documents of a stream, without empty ones; any error refuses all of it.
    static func documents(in bytes: [UInt8]) throws -> [JSONValue] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw HTTPProblem.malformed("The YAML is not UTF-8.")
        }
        try refuseAliases(in: text)
        var documents: [JSONValue] = []
        do {
            let parser = try Yams.Parser(yaml: text)
            while let node = try parser.nextRoot() {
                let value = try value(of: node, depth: 0)
                if !value.isNull { documents.append(value) }
            }
        } catch let error as YamlError {
            // It quotes the line, which can be the whole document.
            throw HTTPProblem.malformed("The YAML can't be read: \("\(error)".prefix(1_000))")
        }
        return documents
    }

    /// The value as a YAML document.
    static func text(of value: JSONValue) throws -> String {
        try Yams.serialize(node: node(of: value), allowUnicode: true)
    }

    // MARK: Reading

    /// Aliases make a small text a huge tree, over which Yams would hash for ever where it is a key.
    ///
    /// Found before Yams sees them, and so also where `&name` and `*name` stand in a text.
    private static func refuseAliases(in text: String) throws {
        let anchors = Set(text.utf8.names(after: UInt8(ascii: "&")))
        guard !anchors.isEmpty else { return }
        for alias in text.utf8.names(after: UInt8(ascii: "*")) where anchors.contains(alias) {
            throw HTTPProblem.malformed(
                "The YAML has &\(alias) and *\(alias): aliases are not allowed; write the value out."
            )
        }
    }

    private static func value(of node: Node, depth: Int) throws -> JSONValue {
        guard depth < JSONScanner.depthMax else {
            throw HTTPProblem.malformed("The YAML is nested too deeply.")
        }
        switch node {
        case .scalar(let scalar): return value(of: scalar)
        case .sequence(let sequence):
            return .array(try sequence.map { try value(of: $0, depth: depth + 1) })
        case .mapping(let mapping):
            var members: [JSONValue.Member] = []
            var keys: Set<String> = []
            for (key, element) in mapping {
                guard case .scalar(let name) = key else {
                    throw HTTPProblem.malformed("A key of the YAML is not a text.")
                }
                guard keys.insert(name.string).inserted else {
                    throw HTTPProblem.malformed(
                        "Duplicate key \(name.string) in the YAML, line "
                            + "\(key.mark?.line ?? 0).")
                }
                members.append(.init(name.string, try value(of: element, depth: depth + 1)))
            }
            return .object(members)
        case .alias:
            throw HTTPProblem.malformed("Aliases are not allowed; write the value out.")
        }
    }

    private static func value(of scalar: Node.Scalar) -> JSONValue {
        let text = scalar.string
        guard scalar.style == .plain || scalar.style == .any else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: return number(text).map { .number($0) } ?? .string(text)
        }
    }

    /// A number as JSON spells it; `007`, `0x1F` and `.5` stay texts.
    private static func number(_ text: String) -> JSONNumber? {
        guard case .number(let number)? = try? JSONValue.parse(Array(text.utf8)) else { return nil }
        return number
    }

    // MARK: Writing

    private static func node(of value: JSONValue) -> Node {
        switch value {
        case .null: .scalar(.init("null"))
        case .bool(let flag): .scalar(.init(flag ? "true" : "false"))
        case .number(let number): .scalar(.init(number.text))
        case .string(let text): .scalar(.init(text, .implicit, style(of: text)))
        case .array(let elements):
            .sequence(
                .init(elements.map(node), .implicit, elements.isEmpty ? .flow : .block))
        case .object(let members):
            .mapping(
                .init(
                    members.map { (node(of: .string($0.key)), node(of: $0.value)) }, .implicit,
                    members.isEmpty ? .flow : .block))
        }
    }

    /// Quotes where a reader, also one of YAML 1.1, could take the text for something else.
    private static func style(of text: String) -> Node.Scalar.Style {
        let scalar = Node.Scalar(text, .implicit, .plain)
        let readsAsText = Resolver.default.resolveTag(of: .scalar(scalar)) == Tag.Name.str
        let isText = value(of: scalar) == .string(text)
        return readsAsText && isText ? .any : .doubleQuoted
    }
}

extension String.UTF8View {
    /// The names of anchors or aliases, as YAML would read them after this indicator.
    fileprivate func names(after indicator: UInt8) -> [String] {
        split(separator: indicator, omittingEmptySubsequences: false).dropFirst().compactMap {
            let name = $0.prefix { byte in
                let scalar = UnicodeScalar(byte)
                return scalar.properties.isAlphabetic && scalar.isASCII
                    || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: "-")
            }
            return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
        }
    }
}
