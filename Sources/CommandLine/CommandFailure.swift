import Curl

/// Why a command failed, in words that say what to do.
struct CommandFailure: Error, CustomStringConvertible {
    /// The first line, without the word error.
    let message: String
    /// The status of the answer, where there was one.
    var status: Int?
    /// What is wrong with which parts of the request.
    var parts: [Part] = []
    /// Lines that follow, indented.
    var details: [String] = []
    /// Whether the server, or a proxy before it, asks to try again later.
    var isTemporary = false

    /// A part of the request and what is wrong with it.
    struct Part: Decodable {
        /// Where it is (RFC 6901).
        var pointer: String?
        var detail: String?

        var description: String {
            let place = pointer.map { "at \($0.isEmpty ? "/" : $0): " } ?? ""
            return place + (detail ?? "")
        }
    }

    var description: String {
        let lines = parts.map { Display.oneLine($0.description) } + details
        return (["error: \(message)"] + lines.map { "  \($0)" }).joined(separator: "\n")
    }
}

extension CommandFailure {
    /// The server could not be reached, or the answer did not come.
    init(_ error: CurlError) {
        self.init(message: error.description)
        if error.kind == .couldNotConnect || error.kind == .couldNotResolve {
            details = [
                "Start the ledger with `ledger serve`, or name another one with --url or LEDGER_URL."
            ]
        }
    }

    /// The server refused, with problem details (RFC 9457) if it is a ledger.
    init(_ response: Response, sentKey: Bool) {
        if let problem = try? Problem(response) {
            let parts = problem.errors ?? []
            let isTold = parts.count == 1 && parts[0].detail == problem.detail
            let texts = [problem.title ?? "HTTP \(response.status)", isTold ? nil : problem.detail]
            self.init(message: texts.compactMap(\.self).joined(separator: ": "))
            self.parts = parts
        } else {
            let body = String(decoding: response.body.prefix(200), as: UTF8.self)
            self.init(message: "HTTP \(response.status)" + (body.isEmpty ? "" : ": \(body)"))
        }
        status = response.status
        isTemporary = [502, 503, 504].contains(response.status)
        if response.status == 401, !sentKey {
            details.append("No key was sent: give one with --key or LEDGER_KEY.")
        }
    }
}

/// Problem details as the ledger sends them.
private struct Problem: Decodable {
    var title: String?
    var detail: String?
    var errors: [CommandFailure.Part]?

    init(_ response: Response) throws {
        struct NoProblem: Error {}
        guard response.head.header("Content-Type")?.hasPrefix("application/problem+json") == true
        else { throw NoProblem() }
        self = try ServerJSON.decode(Problem.self, from: response.body)
    }
}
