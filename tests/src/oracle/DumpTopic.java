import java.io.BufferedWriter;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Writes whole topics to stdout with Kafka's own consumer, one after the other, committed records only, from the
 * beginning to the end as it is when the topic's turn comes: a line `topic partition offset key value headers` a record,
 * key and value in base64, headers as name=base64,name=base64, `-` for null and for none.
 */
public class DumpTopic {
    private static final Base64.Encoder BASE64 = Base64.getEncoder();

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("isolation.level", "read_committed");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("max.poll.records", "10000");
        settings.put("allow.auto.create.topics", "false");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings);
                BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII))) {
            for (String topic : Arrays.asList(arguments).subList(1, arguments.length)) dump(consumer, topic, out);
        }
    }

    private static void dump(KafkaConsumer<byte[], byte[]> consumer, String topic, BufferedWriter out) throws Exception {
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition()))
                .collect(Collectors.toList());
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
            for (var record : consumer.poll(Duration.ofMillis(500))) {
                out.write(topic + " " + record.partition() + " " + record.offset() + " " + text(record.key()) + " "
                        + text(record.value()) + " " + text(record.headers()) + "\n");
            }
        }
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "-" : BASE64.encodeToString(bytes);
    }

    private static String text(Headers headers) {
        String all = StreamSupport.stream(headers.spliterator(), false)
                .map(header -> header.key() + "=" + text(header.value()))
                .collect(Collectors.joining(","));
        return all.isEmpty() ? "-" : all;
    }
}
