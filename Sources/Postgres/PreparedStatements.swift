import CPostgres

/// A statement the server has parsed, or is about to.
final class PreparedStatement {
    let name: String
    let types: [Oid]

    init(name: String, types: [Oid]) {
        self.name = name
        self.types = types
    }

    /// A NULL fits any type; a value only the type it was prepared with.
    func accepts(_ parameters: [Parameter]) -> Bool {
        guard parameters.count == types.count else { return false }
        for index in parameters.indices {
            let type = parameters[index].type
            if type != 0, type != types[index] { return false }
        }
        return true
    }
}

/// The statements one connection has prepared, by their SQL text and the types of parameters.
struct PreparedStatements {
    /// SQL text here is fixed, so this many means that someone pastes values into it; the oldest
    /// are not worth tracking, the whole cache starts again.
    static let countMax = 1000

    private var bySQL: [String: [PreparedStatement]] = [:]
    private var nextNumber = 0
    private(set) var count = 0

    func find(_ sql: String, _ parameters: [Parameter]) -> PreparedStatement? {
        guard let variants = bySQL[sql] else { return nil }
        return variants.first { $0.accepts(parameters) }
    }

    mutating func add(_ sql: String, _ parameters: [Parameter]) -> PreparedStatement {
        nextNumber += 1
        count += 1
        let prepared = PreparedStatement(name: "s\(nextNumber)", types: parameters.map(\.type))
        bySQL[sql, default: []].append(prepared)
        return prepared
    }

    mutating func remove(_ prepared: PreparedStatement, of sql: String) {
        guard var variants = bySQL[sql] else { return }
        let before = variants.count
        variants.removeAll { $0 === prepared }
        count -= before - variants.count
        bySQL[sql] = variants.isEmpty ? nil : variants
    }

    mutating func removeAll() {
        bySQL.removeAll()
        count = 0
    }
}
