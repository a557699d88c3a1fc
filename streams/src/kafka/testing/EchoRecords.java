import java.io.BufferedWriter;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Reads all partitions of a topic with Kafka's own consumer, committed records only, and writes each record to stdout:
 * `partition timestamp key value header=value ...`, bytes in base64, `-` for null. Then writes what it read from
 * partition 0 to a second topic with Kafka's own producer, once for each codec, into the partition of its place in the
 * list. Arguments: brokers, topic to read, its partitions, topic to write, codecs.
 */
public class EchoRecords {
    static final Base64.Encoder BASE64 = Base64.getEncoder();

    static String text(byte[] bytes) {
        return bytes == null ? "-" : "=" + BASE64.encodeToString(bytes);
    }

    public static void main(String[] arguments) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> first = read(arguments[0], arguments[1], Integer.parseInt(arguments[2]));
        for (int codec = 4; codec < arguments.length; codec++) {
            Properties settings = new Properties();
            settings.put("bootstrap.servers", arguments[0]);
            settings.put("compression.type", arguments[codec]);
            settings.put("linger.ms", "50");
            settings.put("batch.size", "1000000");
            settings.put("key.serializer", ByteArraySerializer.class.getName());
            settings.put("value.serializer", ByteArraySerializer.class.getName());
            try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
                for (var record : first) {
                    producer.send(new ProducerRecord<>(
                            arguments[3], codec - 4, record.timestamp(), record.key(), record.value(), record.headers()));
                }
            }
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String brokers, String topic, int partitions) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("isolation.level", "read_committed");
        settings.put("key.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("value.deserializer", ByteArrayDeserializer.class.getName());
        settings.put("allow.auto.create.topics", "false");
        List<ConsumerRecord<byte[], byte[]>> first = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings);
                BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII))) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) all.add(new TopicPartition(topic, partition));
            consumer.assign(all);
            consumer.seekToBeginning(all);
            var ends = consumer.endOffsets(all);
            while (all.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    if (record.partition() == 0) first.add(record);
                    StringBuilder line = new StringBuilder();
                    line.append(record.partition()).append(' ').append(record.timestamp());
                    line.append(' ').append(text(record.key())).append(' ').append(text(record.value()));
                    for (Header header : record.headers()) {
                        line.append(' ').append(text(header.key().getBytes(StandardCharsets.UTF_8)));
                        line.append(' ').append(text(header.value()));
                    }
                    out.write(line.append('\n').toString());
                }
            }
        }
        return first;
    }
}
