import ArgumentParser
import JSON

/// An argument that is JSON, kept as it was written.
struct JSONText: ExpressibleByArgument, Equatable {
    let text: String
    let value: JSON.JSONValue

    init?(argument: String) {
        guard let value = try? JSON.JSONValue.parse(Array(argument.utf8)) else { return nil }
        text = argument
        self.value = value
    }
}
