import JSON
import Testing

/// Requests of the code of functions, as the tests make them.
extension ServedLedger {
    static let weighted = #""strategy":"weighted","weights":{"a":50,"b":50}"#

    /// Asks for the variant of a run; `more` says by which strategy, of `a` and `b`.
    @discardableResult
    func select(
        _ run: String, _ more: String = ServedLedger.weighted, function: String = "f",
        experiment: String = "e", headers: [(String, String)] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            "POST", "/v1/selections",
            """
            {"function":\(function.quoted),"experiment":\(experiment.quoted),"run":\(run.quoted),
            "variants":["a","b"],\(more)}
            """, headers: headers, sourceLocation: sourceLocation)
    }

    @discardableResult
    func score(
        _ body: String, headers: [(String, String)] = [],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Answer {
        try await send(
            "POST", "/v1/scores", body, headers: headers, sourceLocation: sourceLocation)
    }

    /// The events of these types, in the order of the log.
    func events(_ types: String...) async throws -> [JSONValue] {
        try await get("/v1/events?limit=10000&type=\(types.joined(separator: ","))").lines
    }
}

extension String {
    /// As a JSON text.
    var quoted: String { String(decoding: JSONValue.string(self).encoded, as: UTF8.self) }
}

extension JSONValue {
    func at(_ path: String...) -> JSONValue? {
        path.reduce(self as JSONValue?) { value, key in
            Int(key).flatMap { index in
                value?.array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            } ?? value?[key]
        }
    }
}
