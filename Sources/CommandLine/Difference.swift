/// What differs between two JSON values, field by field.
enum Difference {
    /// One field that changed; a side that has no such field, or null, is nil.
    struct Change: Equatable {
        var path: String
        var before: JSONValue?
        var after: JSONValue?
    }

    static func between(_ before: JSONValue, _ after: JSONValue) -> [Change] {
        changes(at: "", before, after)
    }

    private static func changes(
        at path: String,
        _ before: JSONValue,
        _ after: JSONValue
    ) -> [Change] {
        if before == after { return [] }
        let (old, new) = (members(before), members(after))
        if let old, let new, !(old.isEmpty && new.isEmpty) {
            return Set(old.keys).union(new.keys).sorted().flatMap { key in
                changes(
                    at: path.isEmpty ? key : "\(path).\(key)", old[key] ?? .null, new[key] ?? .null)
            }
        }
        return [
            Change(
                path: path, before: before == .null ? nil : before,
                after: after == .null ? nil : after)
        ]
    }

    /// The fields of an object; a missing one has none, so each field of the other side shows.
    private static func members(_ value: JSONValue) -> [String: JSONValue]? {
        switch value {
        case .object(let members): members
        case .null: [:]
        default: nil
        }
    }
}
