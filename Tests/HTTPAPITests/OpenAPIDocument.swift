import JSON

@testable import HTTPAPI

/// `schema/openapi.yaml`, and whether answers are as it says.
struct OpenAPIDocument: Sendable {
    let root: JSONValue

    static let shared = OpenAPIDocument()

    private init() {
        let folder = "\(#filePath)".split(separator: "/").dropLast(3).joined(separator: "/")
        do {
            root = try YAML.documents(in: readFile("/\(folder)/schema/openapi.yaml"))[0]
        } catch { fatalError("schema/openapi.yaml can't be read: \(error)") }
    }

    /// Methods, in upper case, and paths.
    var operations: [(method: String, path: String, operation: JSONValue)] {
        (root["paths"]?.object ?? []).flatMap { path in
            (path.value.object ?? []).map { ($0.key.uppercased(), path.key, $0.value) }
        }
    }

    /// What is not as documented in an answer; nothing for a path that is not documented.
    func faults(_ method: String, _ path: String, _ answer: Answer) -> [String] {
        let path = path.prefix { $0 != "?" }
        let operation = operations.first { $0.method == method && matches($0.path, path) }
        guard let operation else {
            return answer.status == 404 || method == "HEAD" ? [] : ["\(path) is not documented"]
        }
        guard let documented = operation.operation["responses"]?["\(answer.status)"] else {
            return ["status \(answer.status) is not documented"]
        }
        var faults = resolved(documented).members("headers").flatMap { header in
            answer.header(header.key).map {
                self.faults(
                    in: .string($0), resolved(header.value)["schema"] ?? .object([]), header.key,
                    isText: true)
            } ?? []
        }
        guard ![204, 304].contains(answer.status) else { return faults }
        let type = String(answer.contentType.prefix { $0 != ";" })
        guard let media = resolved(documented)["content"]?[type] else {
            return faults + ["content type \(type) is not documented"]
        }
        let schema = media["schema"] ?? .object([])
        switch type {
        case "application/yaml":
            let values = (try? YAML.documents(in: answer.response.body)) ?? []
            faults += values.flatMap { self.faults(in: $0, schema, "") }
            if values.count != 1 { faults.append("\(values.count) YAML documents") }
        case "application/x-ndjson":
            faults += answer.lines.flatMap { self.faults(in: $0, schema, "") }
        case "application/json", "application/problem+json":
            faults += self.faults(in: answer.json, schema, "")
        default: break
        }
        return faults
    }

    private func matches(_ template: String, _ path: Substring) -> Bool {
        let parts = path.split(separator: "/")
        let templates = template.split(separator: "/")
        return parts.count == templates.count
            && zip(templates, parts).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
    }

    private func resolved(_ value: JSONValue) -> JSONValue {
        guard let reference = value["$ref"]?.string else { return value }
        var target = root
        for part in reference.dropFirst(2).split(separator: "/") {
            target = target[String(part)] ?? .null
        }
        return resolved(target)
    }

    // MARK: JSON Schema

    private static let known: Set<String> = [
        "$ref", "type", "required", "properties", "additionalProperties", "items", "enum", "const",
        "oneOf", "anyOf", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength",
        "maxProperties", "pattern", "format", "description", "default",
    ]

    /// What keeps a value from being as a schema says.
    func faults(
        in value: JSONValue, _ schema: JSONValue, _ pointer: String, isText: Bool = false
    ) -> [String] {
        var faults = (schema.object ?? []).filter { !Self.known.contains($0.key) }
            .map { "\(pointer): the test does not know \($0.key)" }
        let schema = resolved(schema)
        if let types = schema["type"].map({ $0.array ?? [$0] }), !isText,
            !types.contains(where: { value.isOf(type: $0.string ?? "") })
        {
            faults.append("\(pointer): \(value.kindName), not \(types)")
        }
        if let constant = schema["const"], constant != value {
            faults.append("\(pointer): not \(constant)")
        }
        if let values = schema["enum"]?.array, !values.contains(value) {
            faults.append("\(pointer): \(value) is none of \(values)")
        }
        if let minimum = schema["minimum"]?.double, let number = value.double, number < minimum {
            faults.append("\(pointer): less than \(minimum)")
        }
        for (key, isRight) in [("oneOf", { $0 == 1 }), ("anyOf", { $0 > 0 })]
            as [(String, (Int) -> Bool)]
        {
            guard let choices = schema[key]?.array else { continue }
            let fitting = choices.count { self.faults(in: value, $0, pointer).isEmpty }
            if !isRight(fitting) { faults.append("\(pointer): fits \(fitting) of \(key)") }
        }
        for (index, element) in (value.array ?? []).enumerated() {
            guard let items = schema["items"] else { continue }
            faults += self.faults(in: element, items, "\(pointer)/\(index)")
        }
        if let members = value.object { faults += self.faults(of: members, schema, pointer) }
        return faults
    }

    private func faults(
        of members: [JSONValue.Member], _ schema: JSONValue, _ pointer: String
    ) -> [String] {
        var faults: [String] = []
        for name in schema["required"]?.array?.compactMap(\.string) ?? []
        where !members.contains(where: { $0.key == name }) {
            faults.append("\(pointer): \(name) is missing")
        }
        for member in members {
            let place = "\(pointer)/\(member.key)"
            if let schema = schema["properties"]?[member.key] {
                faults += self.faults(in: member.value, schema, place)
            } else if schema["additionalProperties"] == false {
                faults.append("\(place): not documented")
            } else if let schema = schema["additionalProperties"], schema.object != nil {
                faults += self.faults(in: member.value, schema, place)
            }
        }
        return faults
    }
}

extension JSONValue {
    fileprivate func members(_ key: String) -> [Member] { self[key]?.object ?? [] }

    fileprivate func isOf(type: String) -> Bool {
        switch (self, type) {
        case (.null, "null"), (.bool, "boolean"), (.number, "number"), (.string, "string"),
            (.array, "array"), (.object, "object"):
            true
        case (.number(let number), "integer"): number.integer != nil
        default: false
        }
    }
}
