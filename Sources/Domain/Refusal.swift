/// One thing wrong in a request, and where.
package struct Problem: Sendable, Equatable {
    /// An RFC 6901 JSON pointer into the request.
    package let pointer: String
    package let detail: String

    package init(_ pointer: String, _ detail: String) {
        self.pointer = pointer
        self.detail = detail
    }
}

/// A command the domain's rules do not allow: nothing was recorded.
package struct Refusal: Error, Sendable, Equatable {
    /// What kind of refusal it is; each has one HTTP status and one stable problem type.
    package enum Kind: String, Sendable, CaseIterable {
        /// The request breaks a rule of the domain (422).
        case invalid = "invalid-request"
        /// What the request names does not exist (404).
        case notFound = "not-found"
        /// The request contradicts the current state (409).
        case conflict
        /// The stream is at another version than the request expected (409).
        case versionMismatch = "version-mismatch"
        /// `If-Match` names another resource version (412).
        case preconditionFailed = "precondition-failed"
        /// An idempotency key came again with another body (422).
        case keyReused = "idempotency-key-reused"
        /// A subject was erased while the request was on its way (503).
        case staleSeal = "subject-being-erased"
    }

    package let kind: Kind
    package let detail: String
    package var problems: [Problem]
    /// The stream's version where ``kind`` is `versionMismatch`.
    package var actualVersion: Int64?

    package init(_ kind: Kind, _ detail: String, _ problems: [Problem] = []) {
        self.kind = kind
        self.detail = detail
        self.problems = problems
    }

    /// The same with its pointers led through `place`.
    func pointing(_ place: (String) -> String) -> Refusal {
        var refusal = self
        refusal.problems = problems.map { Problem(place($0.pointer), $0.detail) }
        return refusal
    }

    package static func invalid(_ problems: [Problem]) -> Refusal {
        let detail =
            problems.count == 1
            ? problems[0].detail
            : "\(problems.count) things are wrong; each is listed under errors."
        return Refusal(.invalid, detail, problems)
    }

    package static func unknownExperiment(_ id: String) -> Refusal {
        Refusal(
            .notFound, "There is no experiment \(id). Apply a document of kind experiment first.")
    }
}

extension String {
    /// As a pointer: the part inside an element of the list at `list`, or nil where it points
    /// elsewhere or at the list as a whole.
    func inside(_ list: String) -> String? {
        guard hasPrefix(list + "/") else { return nil }
        let rest = dropFirst(list.count + 1)
        return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? ""
    }
}
