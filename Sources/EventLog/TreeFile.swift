import JSON

/// Size and root of the tree over an export's lines: what `FILE.tree` holds beside `FILE`.
///
///     {"size":3,"root":"BASE64"}
package struct TreeHead: Sendable, Equatable {
    package var size: Int64
    package var root: Digest

    package init(size: Int64, root: Digest) {
        self.size = size
        self.root = root
    }

    /// Nil unless the text is one that ``json`` gives.
    package init?(json: [UInt8]) {
        guard let value = try? JSONValue.parse(json), let size = value["size"]?.integer,
            let root = value["root"]?.string.flatMap({ Digest(text: $0) })
        else { return nil }
        self.init(size: size, root: root)
    }

    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("size")
        writer.integer(size)
        writer.key("root")
        writer.string(root.base64)
        writer.endObject()
        writer.newline()
        return writer.bytes
    }
}
