import JSON

/// The problems found so far, shared by the readers of one document.
package final class Problems {
    package var list: [Problem] = []

    package init() {}
}

/// Reads the members of one JSON object and notes everything that is wrong, with its pointer.
///
/// YAML has no way to tell that `id: 2024` means a text, so a number is taken as the text it was
/// written as wherever a text is wanted.
package struct DocumentReader {
    private let members: [JSONValue.Member]
    private let pointer: String
    private let problems: Problems

    package init(_ json: JSONValue, _ pointer: String, _ problems: Problems) {
        self.pointer = pointer
        self.problems = problems
        if let members = json.object {
            self.members = members
        } else {
            members = []
            problems.list.append(Problem(pointer, "Expected an object, found \(json.kindName)."))
        }
    }

    /// A reader of an object that is not there.
    package func empty(_ key: String) -> DocumentReader {
        DocumentReader(.object([]), "\(pointer)/\(key)", problems)
    }

    package func problem(_ key: String, _ detail: String) {
        problems.list.append(Problem("\(pointer)/\(escaped(key))", detail))
    }

    package func problem(_ key: String, at index: Int, _ detail: String) {
        problems.list.append(Problem("\(pointer)/\(escaped(key))/\(index)", detail))
    }

    func problem(_ key: String, under member: String, _ detail: String) {
        problems.list.append(Problem("\(pointer)/\(escaped(key))/\(escaped(member))", detail))
    }

    /// Whether there is a member, other than null.
    func has(_ key: String) -> Bool { members.contains { $0.key == key && !$0.value.isNull } }

    private func escaped(_ key: String) -> String {
        key.contains(where: { $0 == "~" || $0 == "/" })
            ? key.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) }.joined() : key
    }

    /// Notes every key that is not one of these.
    package func allow(_ keys: [String]) {
        for member in members where !keys.contains(member.key) {
            let known = keys.isEmpty ? "none is allowed here" : keys.joined(separator: ", ")
            problem(member.key, "Unknown field \(member.key); known: \(known).")
        }
    }

    /// The member's value; nil where it is missing or null.
    private func member(_ key: String, required: Bool) -> JSONValue? {
        if let value = members.first(where: { $0.key == key })?.value, !value.isNull {
            return value
        }
        if required { problem(key, "\(key) is required.") }
        return nil
    }

    func read<T>(
        _ key: String, required: Bool, _ rule: String, _ convert: (JSONValue) -> T?
    ) -> T? {
        guard let value = member(key, required: required) else { return nil }
        if let converted = convert(value) { return converted }
        let found = if case .number(let number) = value { number.text } else { value.kindName }
        problem(key, "\(key): \(rule), not \(found).")
        return nil
    }

    /// The members of an object; nil where there is none.
    func members(of key: String) -> [JSONValue.Member]? {
        read(key, required: false, "give an object") { $0.object }
    }

    package func object(_ key: String, required: Bool = false) -> DocumentReader? {
        member(key, required: required).map {
            DocumentReader($0, "\(pointer)/\(key)", problems)
        }
    }

    package func elements(_ key: String, max: Int) -> [DocumentReader] {
        let elements = array(key, max: max)
        return elements.enumerated().map {
            DocumentReader($0.element, "\(pointer)/\(key)/\($0.offset)", problems)
        }
    }

    package func array(_ key: String, max: Int, required: Bool = false) -> [JSONValue] {
        let elements = read(key, required: required, "give a list") { $0.array } ?? []
        if elements.count > max { problem(key, "At most \(max) entries are allowed.") }
        return elements
    }

    package func text(
        _ key: String, max: Int = Limits.textBytesMax, required: Bool = false
    ) -> String? {
        let text = read(key, required: required, "give a text") { value -> String? in
            if case .number(let number) = value { return number.text }
            return value.string
        }
        guard let text else { return nil }
        if text.utf8.count > max { problem(key, "\(key) is longer than \(max) bytes.") }
        if text.utf8.contains(0) { problem(key, "\(key) contains the character U+0000.") }
        if required && text.isEmpty { problem(key, "\(key) is required.") }
        return text.isEmpty ? nil : text
    }

    package func bool(_ key: String) -> Bool? {
        read(key, required: false, "give true or false") { $0.bool }
    }

    package func integer(_ key: String, required: Bool = false) -> Int64? {
        read(key, required: required, "give a whole number") { $0.integer }
    }

    package func number(_ key: String, required: Bool = false) -> Double? {
        read(key, required: required, "give a finite number") {
            $0.double.flatMap { $0.isFinite ? $0 : nil }
        }
    }

    package func time(_ key: String) -> Timestamp? {
        guard let text = text(key) else { return nil }
        if let time = Timestamp(text) { return time }
        problem(key, "\(key): \(text) is no RFC 3339 time such as 2024-11-01T09:00:00Z.")
        return nil
    }

    /// The ID that a client gives an event of its own; `what` is what a message calls the event.
    package func eventID(_ key: String, of what: String) -> EventID? {
        guard let text = text(key) else { return nil }
        let id = EventID(text)
        if id == nil { problem(key, "The ID of \(what) is a UUID.") }
        return id
    }

    package func id(_ key: String, required: Bool = false) -> ResourceID? {
        guard let text = text(key, required: required) else { return nil }
        if let id = ResourceID(text) { return id }
        problem(key, "\(key): \(text.prefix(140)) is no ID; \(ResourceID.rule).")
        return nil
    }

    package func value<T: RawRepresentable & CaseIterable>(
        _ key: String, required: Bool = false
    ) -> T? where T.RawValue == String {
        guard let text = text(key, required: required) else { return nil }
        if let value = T(rawValue: text) { return value }
        let known = T.allCases.map(\.rawValue).joined(separator: ", ")
        problem(key, "\(key): \(text.prefix(140)) is not known; use one of \(known).")
        return nil
    }

    package func links(_ key: String) -> [Link] {
        guard let value = member(key, required: false) else { return [] }
        let reader = DocumentReader(value, "\(pointer)/\(key)", problems)
        if reader.members.count > Limits.linksMax {
            problem(key, "At most \(Limits.linksMax) links are allowed.")
        }
        return reader.members.compactMap { member in
            reader.text(member.key, max: Limits.linkBytesMax).map {
                Link(name: member.key, target: $0)
            }
        }
    }
}
