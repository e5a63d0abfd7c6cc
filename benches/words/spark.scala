// Spark's RDD word count, for `spark-shell -i`. WORDS_IN and WORDS_OUT name folders.
val counts = sc.textFile(sys.env("WORDS_IN")).flatMap(_.split(' ')).map((_, 1L)).reduceByKey(_ + _)
counts.map { case (word, n) => s"$word\t$n" }.saveAsTextFile(sys.env("WORDS_OUT"))
sys.exit(0)
